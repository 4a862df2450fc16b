import { dataLength, getBytes, getCreateAddress, type Provider } from 'ethers'
import type { DeployedName } from '../sdk/chain/address-book.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import { loadArtifact } from './artifact.ts'
import type { NetworkParams } from './deploy-params.ts'
import type { JournalHeader } from './journal.ts'
import type { Refs, Step } from './module.ts'
import { modulesOf } from './modules/all.ts'
import type { Probe } from './probe.ts'
import { type StepTransaction, senderOf, transactionOf } from './transaction.ts'
import { toJson } from './write-file.ts'

/** A step with its price. `address` is what a contract will get when no other transaction of the deployer comes between. */
export type PlannedStep = { step: Step; address: string | undefined; gas: bigint; costWei: bigint }

/** What one sender pays and has. */
export type Purse = { sender: string; costWei: bigint; balanceWei: bigint }

export type Plan = { steps: PlannedStep[]; gas: bigint; costWei: bigint; purses: Purse[] }

/** A chain with fewer blocks tells nothing about its block time. */
const MIN_MEASURED_BLOCKS = 10

/** Storage slots that a constructor or a call may fill: the greatest number among our contracts, for the estimate. */
const ASSUMED_NEW_SLOTS = 8n

/** The header of a new deployment: its parameters derived from the probe, its clock beginning at the next block. */
export function newHeader(
  network: NetworkParams,
  probe: Probe,
  { deployer, owner, hasDa }: Pick<JournalHeader, 'deployer' | 'owner' | 'hasDa'>,
): JournalHeader {
  if (network.live && (probe.head < MIN_MEASURED_BLOCKS || probe.blockSec <= 0)) {
    throw new ZerogError('NETWORK_REFUSED', `${probe.head} blocks are too few to measure the block time from`)
  }
  const measured = { blockSec: probe.blockSec, prevRandaoVaries: probe.prevRandaoVaries }
  return {
    chainId: probe.chainId,
    genesisHash: probe.genesisHash,
    network: network.name,
    deployer,
    computeDeployer: network.computeSigner?.address ?? deployer,
    owner,
    startBlock: probe.head + 1,
    hasDa,
    hasCompute: true,
    measured,
    params: JSON.parse(toJson(network.resolve(measured))) as unknown,
  }
}

export function stepsOf(header: JournalHeader): Step[] {
  const refs = { ...header, computeDeployer: computeDeployerOf(header) }
  return modulesOf(header).flatMap((module) => module.steps(refs))
}

/** Who sends the compute contracts; deployments without them have no such account. */
export const computeDeployerOf = ({ deployer, computeDeployer }: JournalHeader) => computeDeployer ?? deployer

/** What steps may refer to; `addresses` grows while contracts are deployed. */
export function refsOf(
  header: JournalHeader,
  network: NetworkParams,
  addresses: ReadonlyMap<DeployedName, string>,
): Refs {
  return {
    params: network.resolve(header.measured),
    startBlock: header.startBlock,
    deployer: header.deployer,
    computeDeployer: computeDeployerOf(header),
    owner: header.owner,
    addressOf(contract) {
      const address = addresses.get(contract)
      if (address !== undefined) return address
      throw new ZerogError('INTERNAL', `a step refers to ${contract} before it is deployed`)
    },
  }
}

/** Gas of a transaction that cannot be simulated yet, since it relies on earlier ones: on the high side. */
function roughGas(step: Step, { data }: StepTransaction): bigint {
  const payload = getBytes(data).reduce((gas, byte) => gas + (byte === 0 ? 4n : 16n), 21_000n)
  if (step.kind === 'pad') return payload
  const slots = ASSUMED_NEW_SLOTS * 22_100n
  if (step.kind === 'call') return payload + slots
  const codeBytes = BigInt(dataLength(loadArtifact(step.contract).deployedBytecode))
  const initWords = BigInt(Math.ceil(dataLength(data) / 32))
  return payload + 32_000n + 2n * initWords + 200n * codeBytes + slots
}

/**
 * The steps that are still to do (`isDone` tells), with addresses and costs; sends nothing. `known` holds the contracts
 * that stand already.
 */
export async function planSteps(
  provider: Provider,
  network: NetworkParams,
  header: JournalHeader,
  progress: {
    isDone: (step: Step) => boolean
    known: ReadonlyMap<DeployedName, string>
    gasPriceWei: bigint
  },
): Promise<Plan> {
  const addresses = new Map(progress.known)
  const refs = refsOf(header, network, addresses)
  const senders = [...new Set([refs.deployer, refs.computeDeployer])]
  const nonces = new Map<string, number>()
  for (const sender of senders) nonces.set(sender, await provider.getTransactionCount(sender, 'pending'))
  const steps: PlannedStep[] = []
  for (const step of stepsOf(header).filter((candidate) => !progress.isDone(candidate))) {
    const from = senderOf(step, refs)
    const nonce = nonces.get(from) ?? 0
    const address = step.kind === 'deploy' ? getCreateAddress({ from, nonce }) : undefined
    nonces.set(from, nonce + 1)
    if (step.kind === 'deploy' && address !== undefined) addresses.set(step.contract, address)
    const gas = roughGas(step, transactionOf(step, refs))
    steps.push({ step, address, gas, costWei: gas * progress.gasPriceWei })
  }
  const costOf = (planned: readonly PlannedStep[]) => planned.reduce((sum, { costWei }) => sum + costWei, 0n)
  const purses: Purse[] = []
  for (const sender of senders) {
    const costWei = costOf(steps.filter(({ step }) => senderOf(step, refs) === sender))
    purses.push({ sender, costWei, balanceWei: await provider.getBalance(sender) })
  }
  return {
    steps,
    gas: steps.reduce((sum, planned) => sum + planned.gas, 0n),
    costWei: costOf(steps),
    purses,
  }
}
