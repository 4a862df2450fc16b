import { kernelEnv, loadConfig } from '../../../agents/kernel/config.ts'
import type { Duty } from '../../../agents/kernel/duty.ts'
import { runAgent } from '../../../agents/kernel/run.ts'

/** The process of a whole agent, as `npm run agent` starts it; its one job runs until FILE exists. */
const wait: Duty<number> = {
  name: 'wait',
  local: true,
  due: async () => [1],
  id: () => 'wait-for-file',
  perform: async (_, ctx) => {
    const { existsSync } = await import('node:fs')
    const { setTimeout } = await import('node:timers/promises')
    process.stdout.write('job begins\n')
    while (!existsSync(process.env.FILE ?? '')) await setTimeout(20, undefined, { signal: ctx.signal })
    process.stdout.write('job ends\n')
  },
}

await runAgent('waiter', () => ({
  name: 'waiter',
  config: loadConfig(kernelEnv),
  makeContext: (kernel) => kernel,
  duties: [wait],
}))
