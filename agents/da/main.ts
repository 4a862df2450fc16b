import { loadConfig } from '../kernel/config.ts'
import { runAgent } from '../kernel/run.ts'
import { daAgent } from './agent.ts'
import { daEnv } from './config.ts'

await runAgent('da', () => daAgent(loadConfig(daEnv)))
