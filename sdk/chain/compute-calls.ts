import type { Receipt } from '../protocol/receipt.ts'
import type { Voucher } from '../protocol/voucher.ts'
import { type ChainCall, chainCall } from './chain-call.ts'
import type { ComputeChain } from './compute-chain.ts'
import { type ReadOptions, read } from './read.ts'

/** What a provider lists; prices in wei per unit. */
export type ServiceWish = {
  readonly serviceType: string
  readonly url: string
  readonly model: string
  readonly verifiability: string
  readonly inputPriceWei: bigint
  readonly outputPriceWei: bigint
  readonly additionalInfo: string
  readonly signer: string
}

/** A fee that the service's signer claims from a user. */
export type SettlementClaim = {
  readonly user: string
  readonly provider: string
  readonly totalFeeWei: bigint
  readonly requestsHash: string
  readonly nonce: bigint
  readonly signature: string
}

/** What a settlement comes to: 0 paid, 1 in part, 2 to 5 refused. */
export type SettlementStatus = 0 | 1 | 2 | 3 | 4 | 5

/** Lists the sender's service, or announces a change of it. */
export function listServiceCall({ compute: { inference } }: ComputeChain, wish: ServiceWish): ChainCall {
  const { inputPriceWei, outputPriceWei, signer, ...texts } = wish
  const params = {
    ...texts,
    inputPrice: inputPriceWei,
    outputPrice: outputPriceWei,
    teeSignerAddress: signer,
  }
  return chainCall(inference, inference.interface.encodeFunctionData('addOrUpdateService', [params]))
}

/** Takes the sender's service off the list. */
export function removeServiceCall({ compute: { inference } }: ComputeChain): ChainCall {
  return chainCall(inference, inference.interface.encodeFunctionData('removeService'))
}

/** Claims the fees of at most 50 settlements of the sender. */
export function settleCall(
  { compute: { inference } }: ComputeChain,
  settlements: readonly SettlementClaim[],
): ChainCall {
  const data = inference.interface.encodeFunctionData('settleFeesWithTEE', [
    settlements.map(settlementStruct),
  ])
  return chainCall(inference, data)
}

/** What these settlements of one provider, sent together in this order, would come to now. */
export async function simulateSettlements(
  { compute: { inference } }: ComputeChain,
  settlements: readonly SettlementClaim[],
  options: ReadOptions = {},
): Promise<SettlementStatus[]> {
  const [first] = settlements
  if (first === undefined) return []
  const statuses = await read(
    inference.settleFeesWithTEE.staticCall(settlements.map(settlementStruct), { from: first.provider }),
    options,
  )
  return statuses.map((status) => Number(status) as SettlementStatus)
}

/** Shows the receipts of a demanded fee. */
export function postReceiptsCall(
  { compute: { inference } }: ComputeChain,
  { heldId, receipts }: { heldId: bigint; receipts: readonly Receipt[] },
): ChainCall {
  const data = inference.interface.encodeFunctionData('postReceipts', [heldId, [...receipts]])
  return chainCall(inference, data)
}

/** Credits held fees whose window is over. */
export function releaseHeldCall(
  { compute: { inference } }: ComputeChain,
  heldIds: readonly bigint[],
): ChainCall {
  return chainCall(inference, inference.interface.encodeFunctionData('releaseHeld', [[...heldIds]]))
}

/** Sends all that the sender has earned to `to`. */
export function withdrawEarningsCall({ compute: { inference } }: ComputeChain, to: string): ChainCall {
  return chainCall(inference, inference.interface.encodeFunctionData('withdrawEarnings', [to]))
}

function settlementStruct({ totalFeeWei, ...rest }: SettlementClaim) {
  return { ...rest, totalFee: totalFeeWei }
}

/** Posts the ceiling that a user signed. */
export function raiseCeilingCall(
  { compute: { inference } }: ComputeChain,
  { voucher, signature }: { voucher: Voucher; signature: string },
): ChainCall {
  return chainCall(inference, inference.interface.encodeFunctionData('raiseCeiling', [voucher, signature]))
}
