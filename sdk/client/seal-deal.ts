import type { Chain } from '../chain/connect.ts'
import { decodeStorageEvent, type StorageEventArgs } from '../chain/events.ts'
import { sendCall, type TxSender } from '../chain/send.ts'
import { type CustodianInput, sealCall } from '../chain/storage-calls.ts'
import { isZerogError, ZerogError } from '../protocol/errors.ts'
import type { CustodyPlan } from './custody-plan.ts'
import type { PreparedFile } from './prepare.ts'

/** Reverts of a seal that one custodian is the cause of; the decoded error names it. */
const CUSTODIAN_FAULTS = new Set([
  'CustodyOfferExpired',
  'InvalidCustodySignature',
  'RateBelowOffer',
  'InsufficientStake',
  'ProviderSuspended',
  'StreamBehind',
])

export type SealResult =
  | { readonly kind: 'sealed'; readonly sealed: StorageEventArgs['Sealed']; readonly gasUsed: bigint }
  | { readonly kind: 'refused'; readonly provider: string; readonly error: ZerogError }

/**
 * Sends the seal and pays the parity bond. A revert that a custodian is the cause of names it instead of throwing, so that
 * it can be replaced.
 *
 * Errors: ALREADY_SEALED; DEADLINE_PASSED; other TX_REVERTED; those of the sender.
 */
export async function sealDeal(
  { chain, sender, signal }: { chain: Chain; sender: TxSender; signal?: AbortSignal },
  options: {
    txSeq: bigint
    prepared: PreparedFile
    plan: CustodyPlan
    custodians: readonly CustodianInput[]
  },
): Promise<SealResult> {
  const { txSeq, prepared, plan, custodians } = options
  const { byteLength, nodes } = prepared.submission
  const call = sealCall(chain, {
    txSeq,
    byteLength: BigInt(byteLength),
    nodes,
    shardRoots: prepared.shardRoots,
    custodians,
  })
  try {
    const receipt = await sendCall(sender, {
      ...call,
      label: `seal-${txSeq}-${plan.root}`,
      ...(signal === undefined ? {} : { signal }),
    })
    for (const log of receipt.logs) {
      const event = decodeStorageEvent(chain.book, log)
      if (event?.name === 'Sealed' && event.args.txSeq === txSeq)
        return { kind: 'sealed', sealed: event.args, gasUsed: receipt.gasUsed }
    }
    throw new ZerogError('INTERNAL', 'the transaction was mined without a Sealed event of the market')
  } catch (error) {
    return refusalOf(error, plan)
  }
}

function refusalOf(error: unknown, { custodians }: CustodyPlan): SealResult {
  if (!isZerogError(error) || error.code !== 'TX_REVERTED') throw error
  const { error: name, args } = error.meta
  if (name === 'WrongState') throw new ZerogError('ALREADY_SEALED', undefined, { cause: error })
  if (name === 'SealDeadlinePassed') throw new ZerogError('DEADLINE_PASSED', undefined, { cause: error })
  const named = typeof args === 'object' && args !== null ? args : {}
  const provider = 'provider' in named ? named.provider : 'account' in named ? named.account : undefined
  // The pot's stream can be behind as well, which no other custodian would change.
  const isCustodian = custodians.some((custodian) => custodian.provider === provider)
  if (typeof name !== 'string' || !CUSTODIAN_FAULTS.has(name) || typeof provider !== 'string' || !isCustodian)
    throw error
  return { kind: 'refused', provider, error }
}
