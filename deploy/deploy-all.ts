import { existsSync, renameSync } from 'node:fs'
import { formatEther } from 'ethers'
import type { DeployedName } from '../sdk/chain/address-book.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import { type AddressBook, type BookEntry, bookPath, contractsOf, journalPath } from './address-book.ts'
import { checkDeployment } from './check-deployment.ts'
import { type Journal, openJournal } from './journal.ts'
import type { Refs } from './module.ts'
import { refsOf, stepsOf } from './plan.ts'
import { type Prepared, prepareDeployment } from './prepare.ts'
import { type StepEvent, sendStep } from './send-step.ts'
import { transactionOf } from './transaction.ts'
import { toJson, writeFileDurably } from './write-file.ts'

export declare namespace deployAll {
  type Options = prepareDeployment.Options & {
    /** Time between two looks at the chain; by default 1 s on a live network, else 50 ms. */
    pollMs?: number | undefined
    speedUpMs?: number | undefined
    timeoutMs?: number | undefined
    signal?: AbortSignal | undefined
    onEvent?: ((event: StepEvent) => void) | undefined
  }
  type Result = { book: AddressBook; alreadyDeployed: boolean }
}

function requireFunds({ plan: { purses } }: Prepared): void {
  for (const { sender, costWei, balanceWei } of purses) {
    if (balanceWei >= costWei) continue
    throw new ZerogError(
      'INSUFFICIENT_FUNDS',
      `${sender} has ${formatEther(balanceWei)}; the deployment may cost ${formatEther(costWei)}`,
      { meta: { deployer: sender, balanceWei: String(balanceWei), neededWei: String(costWei) } },
    )
  }
}

function bookOf({ header }: Prepared, refs: Refs, journal: Journal): AddressBook {
  const entries = stepsOf(header).flatMap((step): [DeployedName, BookEntry][] => {
    if (step.kind !== 'deploy') return []
    const mined = journal.entry(step.id)?.mined
    if (mined === undefined) throw new ZerogError('INTERNAL', `${step.id} is not in the journal`)
    const args = JSON.parse(toJson(step.args(refs))) as unknown[]
    return [
      [
        step.contract,
        { address: refs.addressOf(step.contract), block: mined.block, txHash: mined.hash, args },
      ],
    ]
  })
  const contracts = Object.fromEntries(entries) as AddressBook['contracts']
  const deployedAtBlock = Math.min(...contractsOf({ contracts }).map(([, { block }]) => block))
  return { schema: 1, ...header, deployedAtBlock, contracts }
}

/**
 * Sends what is planned, looks at the result, and writes the address book.
 *
 * Errors: INSUFFICIENT_FUNDS, TX_REVERTED, DEPLOYMENT_INVALID, TIMEOUT, RPC_UNREACHABLE, ABORTED.
 */
export async function carryOut(prepared: Prepared, options: deployAll.Options): Promise<AddressBook> {
  const { provider, signer, network, directory } = options
  const { header, entries, plan } = prepared
  requireFunds(prepared)

  const book = directory === undefined ? undefined : bookPath(directory, header.chainId)
  if (book !== undefined && existsSync(book)) renameSync(book, book.replace(/\.json$/, '.previous.json'))
  const journal = openJournal(
    directory === undefined ? undefined : journalPath(directory, header.chainId),
    header,
    entries,
  )
  const addresses = new Map(prepared.known)
  const refs = refsOf(header, network, addresses)
  const computeSigner = network.computeSigner?.connect(provider) ?? signer
  const sending = {
    provider,
    chainId: header.chainId,
    confirmations: network.confirmations,
    pollMs: options.pollMs ?? (network.live ? 1_000 : 50),
    speedUpMs: options.speedUpMs ?? 60_000,
    timeoutMs: options.timeoutMs ?? 600_000,
    signal: options.signal ?? new AbortController().signal,
    onEvent: options.onEvent ?? (() => undefined),
  }
  for (const { step } of plan.steps) {
    const from = { ...sending, signer: step.fromCompute ? computeSigner : signer }
    const mined = await sendStep(from, journal, step, transactionOf(step, refs))
    if (step.kind === 'deploy' && mined.address !== null) addresses.set(step.contract, mined.address)
  }

  const written = bookOf(prepared, refs, journal)
  await checkDeployment(provider, written, refs)
  if (book !== undefined) writeFileDurably(book, toJson(written))
  journal.remove()
  return written
}

/**
 * Deploys, wires and hands over the whole system, and writes its address book. A run that was ended at any line is taken
 * up where it stood by the next one with the same arguments; a finished deployment is recognized and left alone.
 *
 * Errors: those of `prepareDeployment` and `carryOut`.
 */
export async function deployAll(options: deployAll.Options): Promise<deployAll.Result> {
  const prepared = await prepareDeployment(options)
  if (prepared.kind === 'deployed') return { book: prepared.book, alreadyDeployed: true }
  return { book: await carryOut(prepared, options), alreadyDeployed: false }
}
