import { type BaseWallet, isError, type JsonRpcProvider, keccak256 } from 'ethers'
import { isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import type { Attempt, AttemptKind, Fees, JournalTx } from './tx-journal.ts'

/** What a bare transfer costs. */
export const NO_OP_GAS = 21_000n

/** The parts of a transaction that every signed form of it shares. */
export type Unsigned = Pick<JournalTx, 'nonce' | 'to' | 'data' | 'valueWei' | 'gasLimit'>

/** Signs a transaction, or the no-op that takes its nonce, with the given fees. Nothing leaves the process. */
export async function signAttempt(
  wallet: BaseWallet,
  options: { tx: Unsigned; kind: AttemptKind; fees: Fees; chainId: bigint; sentBlock: number },
): Promise<Attempt> {
  const { tx, kind, fees, chainId, sentBlock } = options
  const body =
    kind === 'send'
      ? { to: tx.to, data: tx.data, value: tx.valueWei, gasLimit: tx.gasLimit }
      : { to: wallet.address, data: '0x', value: 0n, gasLimit: NO_OP_GAS }
  const feeFields = { maxFeePerGas: fees.maxFeeWei, maxPriorityFeePerGas: fees.tipWei }
  const raw = await wallet.signTransaction({ ...body, ...feeFields, type: 2, chainId, nonce: tx.nonce })
  return { ...fees, hash: keccak256(raw), raw, kind, sentBlock }
}

/**
 * Hands a recorded transaction to the node. Only a refusal that is certain throws: INSUFFICIENT_FUNDS, NONCE_CONFLICT
 * (the pool holds another with this nonce), TX_REFUSED. A node that is away may have taken it, and a used nonce may be
 * our own; whoever watches the nonce finds out.
 */
export async function broadcastAttempt(
  provider: JsonRpcProvider,
  attempt: Attempt,
  label: string,
): Promise<void> {
  try {
    await provider.send('eth_sendRawTransaction', [attempt.raw])
  } catch (error) {
    if (isZerogError(error) || isError(error, 'NONCE_EXPIRED')) return
    if (await mayBeKnown(provider, attempt.hash)) return
    const meta = { label, hash: attempt.hash }
    if (isError(error, 'INSUFFICIENT_FUNDS'))
      throw new ZerogError('INSUFFICIENT_FUNDS', undefined, { cause: error, meta })
    if (isError(error, 'REPLACEMENT_UNDERPRICED'))
      throw new ZerogError('NONCE_CONFLICT', undefined, { cause: error, meta })
    throw new ZerogError('TX_REFUSED', undefined, { cause: error, meta })
  }
}

/** Whether the node has the transaction, or cannot say: then it counts as taken until its nonce tells. */
async function mayBeKnown(provider: JsonRpcProvider, hash: string): Promise<boolean> {
  try {
    return (await provider.send('eth_getTransactionByHash', [hash])) !== null
  } catch {
    return true
  }
}
