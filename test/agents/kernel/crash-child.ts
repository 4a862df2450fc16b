import { startFollower } from '../../../agents/kernel/follower.ts'
import { startKernel, tallyInterface } from './kernel-fixture.ts'
import { tallyFollower } from './tally-follower.ts'

/** A process that crash tests start and kill: `follow` up to a block, or `submit` one transaction, and end. */
const [mode, rpcUrl = '', dataDir = '', address = '', lastBlock = '0'] = process.argv.slice(2)
const kernel = await startKernel({ rpcUrl, dataDir })
if (mode === 'follow') {
  const tally = tallyFollower(kernel.store, address, { pageBlocks: 2 })
  const follower: typeof tally = {
    ...tally,
    onLogs: (logs, tx, range) => {
      tally.onLogs(logs, tx, range)
      process.stdout.write('page\n')
    },
  }
  const handle = startFollower({ ...kernel, follower, confirmations: 0, pollMs: 50 })
  await handle.reached(Number(lastBlock), AbortSignal.timeout(30_000))
  await handle.stop()
} else {
  const data = tallyInterface.encodeFunctionData('bump')
  await kernel.sender.submit({ to: address, data, label: 'once' })
}
await kernel.stop()
