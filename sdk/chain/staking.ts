import { type ChainCall, chainCall } from './chain-call.ts'
import type { Chain } from './connect.ts'
import { at, type ReadOptions, read } from './read.ts'

/** The two pools of an operator. */
export type StakePool = 'self' | 'delegated'

export type PoolView = {
  tokensWei: bigint
  shares: bigint
  allocatedWei: bigint
  exitingShares: bigint
  generation: bigint
}

/** Stake of an operator behind one service; `backingWei` is what the service counts on. */
export type AllocationView = {
  allocatedWei: bigint
  pendingWei: bigint
  backingWei: bigint
  completableAtBlock: bigint
}

export type ExitView = {
  exitId: bigint
  owner: string
  operator: string
  pool: StakePool
  shares: bigint
  generation: bigint
  releasableAtBlock: bigint
}

const POOL_IDS: Record<StakePool, number> = { self: 0, delegated: 1 }

/** One pool of an operator and what may still be allocated from it. */
export async function readPool(
  { contracts: { staking } }: Chain,
  { operator, pool }: { operator: string; pool: StakePool },
  options: ReadOptions = {},
): Promise<PoolView & { freeWei: bigint }> {
  const [view, freeWei] = await read(
    Promise.all([
      staking.poolOf(operator, POOL_IDS[pool], at(options)),
      staking.freeOf(operator, POOL_IDS[pool], at(options)),
    ]),
    options,
  )
  const { tokensWei, shares, allocatedWei, exitingShares, generation } = view
  return { tokensWei, shares, allocatedWei, exitingShares, generation, freeWei }
}

/** An operator's allocation to a service; the storage prover unless told otherwise. */
export async function readAllocation(
  { contracts: { staking }, book }: Chain,
  { operator, service = book.contracts.StorageProver.address }: { operator: string; service?: string },
  options: ReadOptions = {},
): Promise<AllocationView> {
  const [[allocatedWei, pendingWei], backingWei, completableAtBlock] = await read(
    Promise.all([
      staking.allocationOf(operator, service, at(options)),
      staking.backing(operator, service, at(options)),
      staking.completableAt(operator, service, at(options)),
    ]),
    options,
  )
  return { allocatedWei, pendingWei, backingWei, completableAtBlock }
}

/** Shares of an owner in a pool and what they are worth. */
export async function readShares(
  { contracts: { staking } }: Chain,
  { operator, pool, owner }: { operator: string; pool: StakePool; owner: string },
  options: ReadOptions = {},
): Promise<{ shares: bigint; worthWei: bigint }> {
  const shares = await read(staking.sharesOf(operator, POOL_IDS[pool], owner, at(options)), options)
  const worthWei = await read(staking.worth(operator, POOL_IDS[pool], shares, at(options)), options)
  return { shares, worthWei }
}

/** An exit that waits; undefined when unknown, cancelled or released. */
export async function readExit(
  { contracts: { staking } }: Chain,
  exitId: bigint,
  options: ReadOptions = {},
): Promise<ExitView | undefined> {
  const exit = await read(staking.exitOf(exitId, at(options)), options)
  if (exit.shares === 0n) return undefined
  const { owner, operator, shares, generation, releasableAtBlock } = exit
  const pool = exit.pool === 0n ? 'self' : 'delegated'
  return { exitId, owner, operator, pool, shares, generation, releasableAtBlock }
}

/** What an account may withdraw from Staking. */
export function readStakingClaimable(
  { contracts: { staking } }: Chain,
  account: string,
  options: ReadOptions = {},
): Promise<bigint> {
  return read(staking.claimable(account, at(options)), options)
}

/** Adds the value to the sender's own self pool. */
export function stakeCall({ contracts: { staking } }: Chain, amountWei: bigint): ChainCall {
  return chainCall(staking, staking.interface.encodeFunctionData('stake'), amountWei)
}

/** Adds the value to an operator's delegated pool for the sender. */
export function delegateCall(
  { contracts: { staking } }: Chain,
  { operator, amountWei }: { operator: string; amountWei: bigint },
): ChainCall {
  return chainCall(staking, staking.interface.encodeFunctionData('delegate', [operator]), amountWei)
}

/** Puts free stake of the sender behind a service; the storage prover unless told otherwise. */
export function allocateCall(
  { contracts: { staking }, book }: Chain,
  { amountWei, service = book.contracts.StorageProver.address }: { amountWei: bigint; service?: string },
): ChainCall {
  return chainCall(staking, staking.interface.encodeFunctionData('allocate', [service, amountWei]))
}

/** Asks an allocation back; it stays slashable until it is completed. */
export function requestDeallocationCall(
  { contracts: { staking }, book }: Chain,
  { amountWei, service = book.contracts.StorageProver.address }: { amountWei: bigint; service?: string },
): ChainCall {
  return chainCall(staking, staking.interface.encodeFunctionData('requestDeallocation', [service, amountWei]))
}

/** Frees what an operator has asked back from a service. */
export function completeDeallocationCall(
  { contracts: { staking }, book }: Chain,
  { operator, service = book.contracts.StorageProver.address }: { operator: string; service?: string },
): ChainCall {
  return chainCall(staking, staking.interface.encodeFunctionData('completeDeallocation', [operator, service]))
}

/** Asks shares back; they are paid at the price of the release. */
export function requestExitCall(
  { contracts: { staking } }: Chain,
  { operator, pool, shares }: { operator: string; pool: StakePool; shares: bigint },
): ChainCall {
  return chainCall(
    staking,
    staking.interface.encodeFunctionData('requestExit', [operator, POOL_IDS[pool], shares]),
  )
}

/** Moves the worth of an exit to its owner's claimable. */
export function releaseCall({ contracts: { staking } }: Chain, exitId: bigint): ChainCall {
  return chainCall(staking, staking.interface.encodeFunctionData('release', [exitId]))
}

/** Sends all that the sender may claim from Staking to `to`. */
export function withdrawStakeCall({ contracts: { staking } }: Chain, to: string): ChainCall {
  return chainCall(staking, staking.interface.encodeFunctionData('withdraw', [to]))
}
