import { loadConfig } from '../kernel/config.ts'
import { runAgent } from '../kernel/run.ts'
import { computeAgent } from './agent.ts'
import { computeEnv } from './config.ts'

await runAgent('compute', () => computeAgent(loadConfig(computeEnv)))
