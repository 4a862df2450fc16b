import type { ChainCall } from '../../sdk/chain/chain-call.ts'
import { readComputeBacking } from '../../sdk/chain/compute.ts'
import { COMPUTE_SERVICE, connectCompute } from '../../sdk/chain/compute-chain.ts'
import { type Chain, STORAGE_SERVICE } from '../../sdk/chain/connect.ts'
import { connectDa, DA_SERVICE } from '../../sdk/chain/da-chain.ts'
import {
  allocateCall,
  delegateCall,
  readAllocation,
  readPool,
  type StakePool,
  stakeCall,
} from '../../sdk/chain/staking.ts'

/** A transaction of the first hour, with what it does. */
export type Step = { label: string; call: ChainCall }

/** What differs between the operators of the agents: where they are registered, and what must stand behind them. */
export type AgentKind = {
  readonly name: 'storage' | 'da' | 'compute'
  /** Service id in the operator registry. */
  readonly service: string
  readonly behind: string
  /** What lies in its data folder. */
  readonly keeps: string
  /** What an operator without stake cannot do, and what to do about it. */
  readonly noStake: string
  /** Stake that counts behind the service now. */
  readonly backingWei: (chain: Chain, operator: string) => Promise<bigint>
  /** Stake to propose to who says nothing. */
  readonly proposedWei: (chain: Chain, operator: string) => Promise<bigint>
  /** Transactions that the wanted stake still needs. */
  readonly stakeSteps: (chain: Chain, wanted: StakeWish) => Promise<Step[]>
}

/** `bondWei` is a disperser's, where there is one; undefined asks for what the network wants. */
export type StakeWish = { operator: string; stakeWei: bigint; bondWei: bigint | undefined }

export const STORAGE_AGENT: AgentKind = {
  name: 'storage',
  service: STORAGE_SERVICE,
  behind: 'storage',
  keeps: 'shards',
  noStake: 'nobody seals with an operator without stake: zerog stake deposit AMOUNT --allocate',
  backingWei: storageBacking,
  proposedWei: storageBacking,
  stakeSteps: (chain, { operator, stakeWei }) => {
    const service = chain.book.contracts.StorageProver.address
    return lackingSteps(chain, { operator, service, pool: 'self', wantedWei: stakeWei, labels: STAKE })
  },
}

export const DA_AGENT: AgentKind = {
  name: 'da',
  service: DA_SERVICE,
  behind: 'its seats in the committee',
  keeps: 'columns',
  noStake: 'without stake it has no seat: zerog stake deposit AMOUNT --allocate --service da',
  backingWei: daBacking,
  proposedWei: daBacking,
  async stakeSteps(chain, { operator, stakeWei, bondWei }) {
    const { da, daTerms } = await connectDa(chain)
    const { DaCommittee, DataAvailability } = da.addresses
    const bond = { operator, service: DataAvailability, wantedWei: bondWei ?? daTerms.bondWei }
    const seats = { operator, service: DaCommittee, wantedWei: stakeWei }
    return [
      ...(await lackingSteps(chain, { ...bond, pool: 'self', labels: BOND })),
      ...(await lackingSteps(chain, { ...seats, pool: 'delegated', labels: STAKE })),
    ]
  },
}

export const COMPUTE_AGENT: AgentKind = {
  name: 'compute',
  service: COMPUTE_SERVICE,
  behind: 'its service',
  keeps: 'models',
  noStake: 'without stake its service is not listed: zerog stake deposit AMOUNT --allocate --service compute',
  backingWei: computeBacking,
  async proposedWei(chain, operator) {
    const [{ computeTerms }, backingWei] = await Promise.all([
      connectCompute(chain),
      computeBacking(chain, operator),
    ])
    const { minProviderStakeWei } = computeTerms
    if (backingWei < minProviderStakeWei) return minProviderStakeWei
    return backingWei
  },
  async stakeSteps(chain, { operator, stakeWei }) {
    const service = (await connectCompute(chain)).compute.addresses.InferenceServing
    return lackingSteps(chain, { operator, service, pool: 'self', wantedWei: stakeWei, labels: STAKE })
  },
}

async function storageBacking(chain: Chain, operator: string): Promise<bigint> {
  return (await readAllocation(chain, { operator })).backingWei
}

async function daBacking(chain: Chain, operator: string): Promise<bigint> {
  const service = (await connectDa(chain)).da.addresses.DaCommittee
  return (await readAllocation(chain, { operator, service })).backingWei
}

async function computeBacking(chain: Chain, operator: string): Promise<bigint> {
  return readComputeBacking(await connectCompute(chain), operator)
}

const STAKE = { deposit: 'staked', allocate: 'allocated' }
const BOND = { deposit: 'bond', allocate: 'bonded' }

type Lacking = {
  operator: string
  service: string
  pool: StakePool
  wantedWei: bigint
  labels: { deposit: string; allocate: string }
}

/** Deposits what the pool has not free, and allocates what the service lacks: a second run sends only the rest. */
async function lackingSteps(
  chain: Chain,
  { operator, service, pool, wantedWei, labels }: Lacking,
): Promise<Step[]> {
  const [{ backingWei }, { freeWei }] = await Promise.all([
    readAllocation(chain, { operator, service }),
    readPool(chain, { operator, pool }),
  ])
  if (wantedWei <= backingWei) return []
  const lackingWei = wantedWei - backingWei
  const depositWei = lackingWei - freeWei
  const deposit =
    pool === 'self' ? stakeCall(chain, depositWei) : delegateCall(chain, { operator, amountWei: depositWei })
  return [
    ...(depositWei > 0n ? [{ label: labels.deposit, call: deposit }] : []),
    { label: labels.allocate, call: allocateCall(chain, { amountWei: lackingWei, service }) },
  ]
}
