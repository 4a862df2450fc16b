import type { ChainCall } from '../../sdk/chain/chain-call.ts'
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
  readonly name: 'storage' | 'da'
  /** Service id in the operator registry. */
  readonly service: string
  readonly behind: string
  readonly capacityOf: string
  /** Stake that counts behind the service now. */
  readonly backingWei: (chain: Chain, operator: string) => Promise<bigint>
  /** Transactions that the wanted stake still needs. */
  readonly stakeSteps: (chain: Chain, wanted: StakeWish) => Promise<Step[]>
}

/** `bondWei` is a disperser's, where there is one; undefined asks for what the network wants. */
export type StakeWish = { operator: string; stakeWei: bigint; bondWei: bigint | undefined }

export const STORAGE_AGENT: AgentKind = {
  name: 'storage',
  service: STORAGE_SERVICE,
  behind: 'storage',
  capacityOf: 'shards',
  backingWei: async (chain, operator) => (await readAllocation(chain, { operator })).backingWei,
  stakeSteps: (chain, { operator, stakeWei }) => {
    const service = chain.book.contracts.StorageProver.address
    return lackingSteps(chain, { operator, service, pool: 'self', wantedWei: stakeWei, labels: STAKE })
  },
}

export const DA_AGENT: AgentKind = {
  name: 'da',
  service: DA_SERVICE,
  behind: 'its seats in the committee',
  capacityOf: 'columns',
  async backingWei(chain, operator) {
    const service = (await connectDa(chain)).da.addresses.DaCommittee
    return (await readAllocation(chain, { operator, service })).backingWei
  },
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
