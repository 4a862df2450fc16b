import type { ComputeChain } from './compute-chain.ts'
import { isRevert } from './decode-error.ts'
import { at, type ReadOptions, read } from './read.ts'

/** A listed service; prices in wei per unit, as the type counts them. */
export type ServiceView = {
  readonly provider: string
  readonly serviceType: string
  readonly url: string
  readonly inputPriceWei: bigint
  readonly outputPriceWei: bigint
  readonly updatedAtSec: bigint
  readonly model: string
  readonly verifiability: string
  readonly additionalInfo: string
  readonly signer: string
  readonly isAcknowledged: boolean
}

/** A sub-account with what limits it. All amounts in wei; `balanceWei` includes `pendingRefundWei`. */
export type InferenceAccount = {
  readonly nonce: bigint
  readonly balanceWei: bigint
  readonly pendingRefundWei: bigint
  readonly isAcknowledged: boolean
  readonly generation: bigint
  readonly revokedBitmap: bigint
  readonly maxInputPriceWei: bigint
  readonly maxOutputPriceWei: bigint
  readonly dailyCapWei: bigint
  readonly spentTodayWei: bigint
  /** 0 in open mode. */
  readonly ceilingWei: bigint
  readonly settledWei: bigint
}

type ServiceStruct = Awaited<ReturnType<ComputeChain['compute']['inference']['getService']>>

/** States of a held fee, in the order of the contract. */
export const HELD_STATES = ['unknown', 'held', 'demanded', 'released', 'returned'] as const
export type HeldState = (typeof HELD_STATES)[number]

/** A fee of open mode that may be demanded, or was. */
export type HeldFeeView = {
  readonly state: HeldState
  readonly user: string
  readonly provider: string
  readonly amountWei: bigint
  readonly nonce: bigint
  readonly requestsHash: string
  readonly heldAtSec: bigint
  readonly demandedAtSec: bigint
}

/** What a provider offers now, and the number of the price epoch in force; undefined when nothing is listed. */
export async function readService(
  { compute: { inference } }: ComputeChain,
  provider: string,
  options: ReadOptions = {},
): Promise<(ServiceView & { priceEpoch: bigint }) | undefined> {
  try {
    const priceEpoch = await read(inference.priceEpochOf(provider, at(options)), options)
    // Two reads may see two blocks: the prices are those of the epoch that is named with them, whatever else has changed.
    const [service, prices] = await read(
      Promise.all([
        inference.getService(provider, at(options)),
        inference.priceAt(provider, priceEpoch, at(options)),
      ]),
      options,
    )
    const { inputPriceWei, outputPriceWei } = prices
    return { ...serviceView(service), inputPriceWei, outputPriceWei, priceEpoch }
  } catch (error) {
    if (isRevert(error, 'ServiceNotExist')) return undefined
    throw error
  }
}

/** Prices of an epoch that exists, in wei per unit, and when it began or will. */
export type PriceEpochView = {
  readonly inputPriceWei: bigint
  readonly outputPriceWei: bigint
  readonly fromSec: bigint
}

/** The prices of an epoch; undefined when there is no such epoch. */
export async function readPriceEpoch(
  { compute: { inference } }: ComputeChain,
  { provider, priceEpoch }: { provider: string; priceEpoch: bigint },
  options: ReadOptions = {},
): Promise<PriceEpochView | undefined> {
  try {
    const { inputPriceWei, outputPriceWei, fromSec } = await read(
      inference.priceAt(provider, priceEpoch, at(options)),
      options,
    )
    return { inputPriceWei, outputPriceWei, fromSec }
  } catch (error) {
    if (isRevert(error, 'PriceEpochUnknown')) return undefined
    throw error
  }
}

/** The greatest unit prices that receipts of a user settled now are held against. */
export async function readPriceBound(
  { compute: { inference } }: ComputeChain,
  { user, provider }: { user: string; provider: string },
  options: ReadOptions = {},
): Promise<{ inputPriceWei: bigint; outputPriceWei: bigint }> {
  const { inputPriceWei, outputPriceWei } = await read(
    inference.priceBoundOf(user, provider, at(options)),
    options,
  )
  return { inputPriceWei, outputPriceWei }
}

/** The change that a provider announced and that has not begun; undefined when there is none. */
export async function readPendingService(
  { compute: { inference } }: ComputeChain,
  provider: string,
  options: ReadOptions = {},
): Promise<(ServiceView & { fromSec: bigint }) | undefined> {
  const [service, fromSec] = await read(inference.pendingServiceOf(provider, at(options)), options)
  return fromSec === 0n ? undefined : { ...serviceView(service), fromSec }
}

/** A page of at most 50 listed services and their number. */
export async function readServicePage(
  { compute: { inference } }: ComputeChain,
  { offset, limit = 50 }: { offset: number; limit?: number },
  options: ReadOptions = {},
): Promise<{ services: ServiceView[]; total: number }> {
  const [services, total] = await read(inference.getAllServices(offset, limit, at(options)), options)
  return { services: services.map(serviceView), total: Number(total) }
}

/** The sub-account of a user at a provider, of one moment; undefined when there is none. */
export async function readInferenceAccount(
  { compute: { inference } }: ComputeChain,
  { user, provider }: { user: string; provider: string },
  options: ReadOptions = {},
): Promise<InferenceAccount | undefined> {
  const pair = [user, provider, at(options)] as const
  try {
    const [account, maxPrice, daily, ceilingWei, settledWei] = await read(
      Promise.all([
        inference.getAccount(...pair),
        inference.maxPriceOf(...pair),
        inference.dailyCapOf(...pair),
        inference.ceilingOf(...pair),
        inference.settledOf(...pair),
      ]),
      options,
    )
    return {
      nonce: account.nonce,
      balanceWei: account.balance,
      pendingRefundWei: account.pendingRefund,
      isAcknowledged: account.acknowledged,
      generation: account.generation,
      revokedBitmap: account.revokedBitmap,
      maxInputPriceWei: maxPrice.inputPriceWei,
      maxOutputPriceWei: maxPrice.outputPriceWei,
      dailyCapWei: daily.capWei,
      spentTodayWei: daily.spentWei,
      ceilingWei,
      settledWei,
    }
  } catch (error) {
    if (isRevert(error, 'AccountNotExists')) return undefined
    throw error
  }
}

/** Nonce of the last release that a user has used at a provider. */
export function readReleaseNonce(
  { compute: { inference } }: ComputeChain,
  { user, provider }: { user: string; provider: string },
  options: ReadOptions = {},
): Promise<bigint> {
  return read(inference.releaseNonceOf(user, provider, at(options)), options)
}

/** A held fee by its id. */
export async function readHeldFee(
  { compute: { inference } }: ComputeChain,
  heldId: bigint,
  options: ReadOptions = {},
): Promise<HeldFeeView> {
  const held = await read(inference.heldOf(heldId, at(options)), options)
  const { user, provider, amountWei, nonce, requestsHash, heldAtSec, demandedAtSec } = held
  const state = HELD_STATES[Number(held.state)] ?? 'unknown'
  return { state, user, provider, amountWei, nonce, requestsHash, heldAtSec, demandedAtSec }
}

/** What a provider may withdraw, in wei. */
export function readEarnings(
  { compute: { inference } }: ComputeChain,
  provider: string,
  options: ReadOptions = {},
): Promise<bigint> {
  return read(inference.earningsOf(provider, at(options)), options)
}

/** Stake of a provider that stands behind its service, in wei. */
export function readComputeBacking(
  { compute: { addresses }, contracts: { staking } }: ComputeChain,
  provider: string,
  options: ReadOptions = {},
): Promise<bigint> {
  return read(staking.backing(provider, addresses.InferenceServing, at(options)), options)
}

function serviceView(service: ServiceStruct): ServiceView {
  const { provider, serviceType, url, model, verifiability, additionalInfo } = service
  return {
    ...{ provider, serviceType, url, model, verifiability, additionalInfo },
    inputPriceWei: service.inputPrice,
    outputPriceWei: service.outputPrice,
    updatedAtSec: service.updatedAt,
    signer: service.teeSignerAddress,
    isAcknowledged: service.teeSignerAcknowledged,
  }
}
