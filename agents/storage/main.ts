import { loadConfig } from '../kernel/config.ts'
import { runAgent } from '../kernel/run.ts'
import { storageAgent } from './agent.ts'
import { storageEnv } from './config.ts'

await runAgent('storage', () => storageAgent(loadConfig(storageEnv)))
