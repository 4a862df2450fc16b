import { parseArgs } from 'node:util'
import { formatEther, formatUnits } from 'ethers'
import { ask, askPassword } from '../agents/cli/ask.ts'
import { connectNode } from '../agents/kernel/provider.ts'
import { chainError } from '../sdk/chain/decode-error.ts'
import { ERROR_CODES, ZerogError } from '../sdk/protocol/errors.ts'
import { ADDRESSES_DIR, type AddressBook } from './address-book.ts'
import { loadDeployConfig } from './config.ts'
import { carryOut } from './deploy-all.ts'
import type { NetworkParams } from './deploy-params.ts'
import { networkByName } from './networks.ts'
import { type Prepared, prepareDeployment } from './prepare.ts'
import type { Probe } from './probe.ts'
import type { Layers } from './probe-layers.ts'
import { publishSources } from './publish-sources.ts'
import { toJson } from './write-file.ts'

const USAGE = `usage: npm run deploy -- --network <localhost|galileo|sepolia> [options]
  --dry-run   print the plan and its cost, send nothing
  --yes       do not ask before spending on a live network
  --json      print one JSON document instead of text
  --verify    publish the sources at the network's explorer afterwards
  --out DIR   folder of the address book (default deploy/addresses)
  --fresh     deploy anew although there is a deployment; its book is kept
  --without-da  leave data availability out, on a chain that lacks its precompiles`

const print = (line: string) => process.stderr.write(`${line}\n`)

function printProbe(network: NetworkParams, probe: Probe, layers: Layers): void {
  const yesNo = (value: boolean) => (value ? 'yes' : 'no')
  print(
    `${network.name}: chain ${probe.chainId}, block ${probe.head}, ${probe.blockSec.toFixed(2)} s a block`,
  )
  print(`  gas at up to ${formatUnits(probe.gasPriceWei, 'gwei')} gwei`)
  print(`  seeds from ${probe.prevRandaoVaries ? 'prevRandao' : 'block hashes: proposers can grind them'}`)
  print(`  block hashes beyond 256 blocks (EIP-2935): ${yesNo(probe.hasHistory)}`)
  const { missing } = layers
  const lacks = missing.length === 0 ? 'yes' : `no: ${missing.join(', ')} missing`
  print(`  layers: storage yes, data availability ${lacks}`)
}

function printPlan({ header, plan }: Prepared): void {
  print(`deployer ${header.deployer}, owner ${header.owner}, first period at block ${header.startBlock}`)
  for (const { step, address, gas, costWei } of plan.steps) {
    const cost = `${String(gas).padStart(9)} gas  ${formatEther(costWei)}`
    print(`  ${step.id.padEnd(34)} ${cost}${address === undefined ? '' : `  ${address}`}`)
  }
  print(`  at most ${plan.gas} gas, ${formatEther(plan.costWei)}`)
  for (const { sender, balanceWei } of plan.purses) print(`  ${sender} has ${formatEther(balanceWei)}`)
}

function printBook(book: AddressBook): void {
  for (const [name, { address, args }] of Object.entries(book.contracts)) {
    print(`  ${name.padEnd(18)} ${address}  ${JSON.stringify(args)}`)
  }
}

async function requireConsent(network: NetworkParams, isGiven: boolean): Promise<void> {
  if (!network.live || isGiven) return
  if (!process.stdin.isTTY)
    throw new ZerogError('CONFIRMATION_NEEDED', 'give --yes to send without a question')
  const answer = await ask(`deploy to ${network.name} for this price? (yes/no) `, { flag: '--yes' })
  if (answer.trim() !== 'yes') throw new ZerogError('CONFIRMATION_NEEDED', 'nothing was sent')
}

function options(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        network: { type: 'string' },
        'dry-run': { type: 'boolean', default: false },
        yes: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        verify: { type: 'boolean', default: false },
        fresh: { type: 'boolean', default: false },
        'without-da': { type: 'boolean', default: false },
        out: { type: 'string', default: ADDRESSES_DIR },
      },
    }).values
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', `${cause instanceof Error ? cause.message : cause}\n${USAGE}`, {
      cause,
    })
  }
}

async function main(args: string[], signal: AbortSignal): Promise<void> {
  const given = options(args)
  if (given.network === undefined) throw new ZerogError('BAD_REQUEST', USAGE)
  const network = networkByName(given.network)
  const config = loadDeployConfig(network)
  const wallet = await config.openWallet(process.stdin.isTTY ? askPassword : undefined)
  const connection = await connectNode({ rpcUrl: config.rpcUrl, signal })
  try {
    const { provider } = connection
    const { owner } = config
    const deployment = {
      provider,
      signer: wallet.connect(provider),
      network,
      owner,
      directory: given.out,
      signal,
    }
    const prepared = await prepareDeployment({
      ...deployment,
      fresh: given.fresh,
      withoutDa: given['without-da'],
    })
    const { layers } = prepared
    printProbe(network, prepared.probe, layers)
    if (prepared.kind === 'planned') printPlan(prepared)
    if (given['dry-run']) {
      const plan = prepared.kind === 'planned' ? prepared.plan : undefined
      if (given.json) process.stdout.write(toJson({ dryRun: true, probe: prepared.probe, layers, plan }))
      return
    }
    if (prepared.kind === 'planned') await requireConsent(network, given.yes)
    const onEvent = ({ kind, step, hash }: { kind: string; step: string; hash: string }) => {
      if (kind === 'sent' || kind === 'recorded')
        print(`  ${step}: ${kind === 'sent' ? 'sent' : 'mined'} ${hash}`)
    }
    const book =
      prepared.kind === 'deployed' ? prepared.book : await carryOut(prepared, { ...deployment, onEvent })
    print(prepared.kind === 'deployed' ? 'already deployed, nothing sent' : 'deployed and checked')
    printBook(book)
    if (given.json) process.stdout.write(toJson({ alreadyDeployed: prepared.kind === 'deployed', book }))
    if (!given.verify) return
    const onVerified = (name: string) => print(`  ${name}: sources published`)
    await publishSources(book, network, { rpcUrl: config.rpcUrl, apiKey: config.explorerApiKey, onVerified })
  } finally {
    connection.close()
  }
}

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
try {
  await main(process.argv.slice(2), stop.signal)
} catch (error) {
  const { code, message } = chainError(error)
  print(`${code}: ${message}`)
  process.exitCode = ERROR_CODES[code].exitCode
}
