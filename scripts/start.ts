import { appendFileSync, existsSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { CHECKOUT } from '../agents/cli/checkout.ts'
import { DEVNET_FOLDER, DEVNET_POINTER, findDevnet } from '../agents/cli/devnet-pointer.ts'
import { createOutput, printError, toJson } from '../agents/cli/output.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import { runMainJob } from './demo/main-job.ts'
import { packProject } from './demo/pack-project.ts'
import { summaryLines } from './demo/summary.ts'
import { type Devnet, publishDevnet, startDevnet } from './devnet/start-devnet.ts'
import { untilSignal } from './devnet/until-signal.ts'

const HELP = `npm start [-- PATH] [--once] [--json FILE]

Boots a network of eight storage providers, eight DA nodes and three compute agents on this machine, stores PATH (by default
this project's own tarball) on it, publishes its manifest and a part of it as blobs, has both audited; stores models, has
digits classified and stories told, and pays for each answer; kills two storage providers, a node, and a compute agent in
the middle of a stream, deletes the columns of another node, reads everything back and sees them slashed. Then it stays up
until Ctrl-C.

  --once        exit after the summary: 0 only if every step held
  --json FILE   also write the summary as JSON
  --base DIR    where the devnet keeps its data (default .zerog/devnet)
`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      once: { type: 'boolean', default: false },
      json: { type: 'string' },
      base: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const given = positionals[0] === undefined ? undefined : readableFile(resolve(positionals[0]))
  if (values.json !== undefined) requireWritable(values.json)
  const base = values.base === undefined ? DEVNET_FOLDER : resolve(values.base)
  const running = values.base === undefined ? findDevnet() : undefined
  if (running !== undefined) {
    throw new ZerogError('DATA_DIR_IN_USE', `a devnet runs already (process ${running.pid}): stop it first`)
  }

  const output = createOutput({ json: false })
  const interrupt = new AbortController()
  const signalled = untilSignal().then(() => interrupt.abort())
  const { signal } = interrupt
  const file = given ?? (await packProject(CHECKOUT, join(base, 'pack')))
  output.note('== devnet')
  const devnet = await startDevnet({
    root: CHECKOUT,
    base,
    agentCount: 8,
    daCount: 8,
    computeCount: 3,
    report: (line) => output.note(`   ${line}`),
    signal,
  })
  const pointer = values.base === undefined ? DEVNET_POINTER : join(base, 'current.json')
  const retract = publishDevnet(devnet, pointer)
  try {
    const summary = await runMainJob({ devnet, file, output, signal })
    publishDevnet(devnet, pointer)
    output.result({ ...summary }, summaryLines(summary))
    if (values.json !== undefined) writeFileSync(values.json, `${toJson(summary)}\n`)
    if (!values.once) {
      for (const line of staying(devnet)) output.note(line)
      await signalled
    }
    return summary.ok ? 0 : 1
  } finally {
    retract()
    await devnet.stop()
  }
}

function readableFile(path: string): string {
  if (!existsSync(path) || !statSync(path).isFile())
    throw new ZerogError('FILE_MISSING', `${path} is not a file`)
  if (statSync(path).size === 0) throw new ZerogError('EMPTY_FILE', `${path} is empty`)
  return path
}

/** Finds out before the work begins, not after it. */
function requireWritable(path: string): void {
  try {
    appendFileSync(path, '')
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', `--json: ${path} cannot be written`, { cause })
  }
}

/** What a reader needs to go on by hand. */
function staying({ node, addressBook, agents, daAgents, computeAgents, chain }: Devnet): string[] {
  const { contracts } = chain.book
  return [
    '',
    `up: RPC ${node.url} (chain ${chain.chainId}), address book ${addressBook}`,
    `Flow ${contracts.Flow.address}  StorageMarket ${contracts.StorageMarket.address}`,
    `DataAvailability ${chain.da.addresses.DataAvailability}  DaCommittee ${chain.da.addresses.DaCommittee}`,
    ...[...agents, ...daAgents, ...computeAgents].map(
      ({ name, url, child }) => `${name}  ${url}/status${child.ended() === undefined ? '' : '  (dead)'}`,
    ),
    'try: node zerog.mjs status | node zerog.mjs storage upload README.md | node zerog.mjs da publish README.md',
    'try: node zerog.mjs compute services | node zerog.mjs compute chat "Tell me a story about a fox."',
    'Ctrl-C stops everything',
  ]
}

try {
  process.exitCode = await main()
} catch (error) {
  process.exitCode = printError(error, false)
}
