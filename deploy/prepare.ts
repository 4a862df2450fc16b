import { getAddress, type Provider, type Signer } from 'ethers'
import type { DeployedName } from '../sdk/chain/address-book.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import { type AddressBook, bookPath, journalPath, readBook } from './address-book.ts'
import { contractsThatDiffer } from './check-deployment.ts'
import type { NetworkParams } from './deploy-params.ts'
import { type JournalEntry, type JournalHeader, readJournal } from './journal.ts'
import { newHeader, type Plan, planSteps, stepsOf } from './plan.ts'
import { type Probe, probeChain } from './probe.ts'
import { type Layers, probeLayers, requireDa } from './probe-layers.ts'
import { toJson } from './write-file.ts'

export declare namespace prepareDeployment {
  type Options = {
    provider: Provider
    /** Must be able to sign without the node, such as a `Wallet`: what is signed is recorded before it is sent. */
    signer: Signer
    network: NetworkParams
    /** Who holds the system in the end; the deployer when not given. */
    owner?: string | undefined
    /** Folder of the address book and the journal; without one nothing is written and nothing can be resumed. */
    directory?: string | undefined
    /** Leaves data availability out: for chains that lack its precompiles. */
    withoutDa?: boolean | undefined
    /** Deploys anew even where a book or a journal exists; the old book is kept as `<chainId>.previous.json`. */
    fresh?: boolean | undefined
  }
}

/** A deployment that can be carried out: `entries` are what an earlier run has done of it, `plan` is what is left. */
export type Prepared = {
  kind: 'planned'
  probe: Probe
  layers: Layers
  header: JournalHeader
  entries: JournalEntry[]
  known: ReadonlyMap<DeployedName, string>
  plan: Plan
}

/** What an earlier run left in the folder, as far as it belongs to this chain. */
function readEarlier({ directory, fresh, network }: prepareDeployment.Options, probe: Probe) {
  if (directory === undefined || fresh === true) return { book: undefined, journal: undefined }
  const isOfThisChain = ({ genesisHash }: { genesisHash: string }) => {
    if (genesisHash === probe.genesisHash) return true
    // A development chain begins anew all the time; what was on the last one is gone.
    if (!network.live) return false
    throw new ZerogError(
      'WRONG_CHAIN',
      `${directory} records a deployment on a chain with another genesis block`,
    )
  }
  const book = readBook(bookPath(directory, probe.chainId))
  const journal = readJournal(journalPath(directory, probe.chainId))
  return {
    book: book !== undefined && isOfThisChain(book) ? book : undefined,
    journal: journal !== undefined && isOfThisChain(journal.header) ? journal : undefined,
  }
}

const yesNo = (value: boolean) => (value ? 'yes' : 'no')

/** Refuses to go on where the network, the owner, the deployer or the parameters are not those of the earlier run. */
function requireSame(
  earlier: JournalHeader,
  network: NetworkParams,
  wanted: { owner: string | undefined; deployer: string | undefined; hasDa: boolean },
): void {
  const differences: string[] = []
  const compare = (what: string, before: string, now: string | undefined) => {
    if (now !== undefined && now !== before) differences.push(`${what} ${before}, now ${now}`)
  }
  compare('network', earlier.network, network.name)
  compare('owner', earlier.owner, wanted.owner)
  compare('deployer', earlier.deployer, wanted.deployer)
  compare('data availability', yesNo(earlier.hasDa), yesNo(wanted.hasDa))
  compare('compute', yesNo(earlier.hasCompute), yesNo(true))
  if (toJson(earlier.params) !== toJson(network.resolve(earlier.measured))) {
    differences.push('the parameters of the constructors')
  }
  if (differences.length === 0) return
  throw new ZerogError('DEPLOYMENT_DIFFERS', `an earlier run used other values: ${differences.join('; ')}`, {
    meta: { differences },
  })
}

/** Addresses of the contracts that stand, from the journal's entries. */
export function addressesIn(
  header: JournalHeader,
  entries: readonly JournalEntry[],
): Map<DeployedName, string> {
  const byStep = new Map(entries.map((entry) => [entry.step, entry]))
  return new Map(
    stepsOf(header).flatMap((step) => {
      const address = byStep.get(step.id)?.mined?.address
      return step.kind === 'deploy' && address ? [[step.contract, address] as const] : []
    }),
  )
}

/**
 * Looks at the chain and at what an earlier run left, and plans the rest; sends and writes nothing.
 *
 * Errors: WRONG_CHAIN, NETWORK_REFUSED, DEPLOYMENT_DIFFERS, ADDRESS_BOOK_INVALID, RPC_UNREACHABLE.
 */
export async function prepareDeployment(
  options: prepareDeployment.Options,
): Promise<Prepared | { kind: 'deployed'; probe: Probe; layers: Layers; book: AddressBook }> {
  const { provider, network } = options
  const probe = await probeChain(provider, network)
  const layers = await probeLayers(provider, { isLive: network.live })
  const hasDa = options.withoutDa !== true
  if (hasDa) requireDa(layers)
  const deployer = getAddress(await options.signer.getAddress())
  const owner = options.owner === undefined ? undefined : getAddress(options.owner)
  const { book, journal } = readEarlier(options, probe)

  if (book !== undefined) {
    requireSame(book, network, { owner, deployer: undefined, hasDa })
    const differing = await contractsThatDiffer(provider, book)
    if (differing.length === 0) return { kind: 'deployed', probe, layers, book }
    throw new ZerogError('DEPLOYMENT_DIFFERS', `the code on chain is not that of ${differing.join(', ')}`, {
      meta: { differing },
    })
  }

  if (journal !== undefined)
    requireSame(journal.header, network, { owner: owner ?? deployer, deployer, hasDa })
  const header = journal?.header ?? newHeader(network, probe, { deployer, owner: owner ?? deployer, hasDa })
  const entries = journal?.entries ?? []
  const known = addressesIn(header, entries)
  const mined = new Set(entries.filter((entry) => entry.mined !== undefined).map((entry) => entry.step))
  const plan = await planSteps(provider, network, header, {
    known,
    isDone: (step) => mined.has(step.id),
    gasPriceWei: probe.gasPriceWei,
  })
  return { kind: 'planned', probe, layers, header, entries, known, plan }
}
