import { parseArgs } from 'node:util'
import { CHECKOUT } from '../agents/cli/checkout.ts'
import { DEVNET_FOLDER, DEVNET_POINTER, findDevnet } from '../agents/cli/devnet-pointer.ts'
import { printError } from '../agents/cli/output.ts'
import { modelNames, serveModels } from './devnet/serve-models.ts'
import { publishDevnet, startDevnet } from './devnet/start-devnet.ts'
import { untilSignal } from './devnet/until-signal.ts'

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '8' },
    da: { type: 'string' },
    compute: { type: 'string', default: '0' },
  },
})
const report = (line: string) => process.stdout.write(`${line}\n`)

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
    computeCount: Number(values.compute),
    report,
    signal: interrupt.signal,
  })
  try {
    await serveModels(devnet, { names: modelNames(Number(values.compute)), report, signal: interrupt.signal })
    const retract = publishDevnet(devnet, DEVNET_POINTER)
    for (const agent of [...devnet.agents, ...devnet.daAgents, ...devnet.computeAgents])
      report(`${agent.name}  ${agent.url}  ${agent.address}`)
    report('up; Ctrl-C stops it. In another terminal: node zerog.mjs status')
    await signalled
    retract()
    return 0
  } finally {
    await devnet.stop()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  process.exitCode = printError(error, false)
}
