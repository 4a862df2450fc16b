import { isCallException, isError, type JsonRpcProvider, type TransactionReceipt } from 'ethers'
import { isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'

export type Call = { from: string; to: string; data: string; value: bigint }

/** Estimates the gas of a call on the pending state. Errors: TX_REVERTED, INSUFFICIENT_FUNDS, TX_REFUSED. */
export async function simulate(provider: JsonRpcProvider, call: Call, label: string): Promise<bigint> {
  try {
    return await provider.estimateGas({ ...call, blockTag: 'pending' })
  } catch (error) {
    throw asCallError(error, label)
  }
}

/** The error of a transaction that was mined and failed, with the reason where a replay still shows it. */
export async function minedRevert(
  provider: JsonRpcProvider,
  call: Call,
  label: string,
  receipt: TransactionReceipt,
): Promise<ZerogError> {
  const meta = { hash: receipt.hash, block: receipt.blockNumber }
  try {
    await provider.call({ ...call, blockTag: receipt.blockNumber - 1 })
  } catch (error) {
    const { code, meta: reason } = asCallError(error, label)
    if (code === 'TX_REVERTED')
      return new ZerogError('TX_REVERTED', undefined, { meta: { ...reason, ...meta }, cause: error })
  }
  return new ZerogError('TX_REVERTED', undefined, { meta: { label, data: '0x', selector: '0x', ...meta } })
}

function asCallError(error: unknown, label: string): ZerogError {
  if (isZerogError(error)) return error
  if (isError(error, 'INSUFFICIENT_FUNDS'))
    return new ZerogError('INSUFFICIENT_FUNDS', undefined, { cause: error, meta: { label } })
  if (!isCallException(error))
    return new ZerogError('TX_REFUSED', undefined, { cause: error, meta: { label } })
  const data = error.data ?? '0x'
  // Without data a revert cannot be told from a node that could not run the call; the latter deserves another try.
  const retryable = error.data === null
  const meta = {
    label,
    data,
    selector: data.slice(0, 10),
    ...(error.reason === null ? {} : { reason: error.reason }),
  }
  return new ZerogError('TX_REVERTED', undefined, { cause: error, meta, retryable })
}
