import { parseArgs } from 'node:util'
import { CHECKOUT } from '../agents/cli/checkout.ts'
import { DEVNET_FOLDER, DEVNET_POINTER, findDevnet } from '../agents/cli/devnet-pointer.ts'
import { printError } from '../agents/cli/output.ts'
import { publishDevnet, startDevnet } from './devnet/start-devnet.ts'
import { untilSignal } from './devnet/until-signal.ts'

const { values } = parseArgs({
  options: { agents: { type: 'string', default: '8' }, da: { type: 'string' } },
})

async function main(): Promise<number> {
  const running = findDevnet()
  if (running !== undefined) {
    process.stderr.write(`a devnet runs already (process ${running.pid}, ${running.rpcUrl})\n`)
    return 75
  }
  const interrupt = new AbortController()
  const signalled = untilSignal().then(() => interrupt.abort())
  const devnet = await startDevnet({
    root: CHECKOUT,
    base: DEVNET_FOLDER,
    agentCount: Number(values.agents),
    daCount: Number(values.da ?? values.agents),
    report: (line) => process.stdout.write(`${line}\n`),
    signal: interrupt.signal,
  })
  const retract = publishDevnet(devnet, DEVNET_POINTER)
  for (const agent of [...devnet.agents, ...devnet.daAgents])
    process.stdout.write(`${agent.name}  ${agent.url}  ${agent.address}\n`)
  process.stdout.write('up; Ctrl-C stops it. In another terminal: node zerog.mjs status\n')
  await signalled
  retract()
  await devnet.stop()
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  process.exitCode = printError(error, false)
}
