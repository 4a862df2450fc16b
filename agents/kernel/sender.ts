import type { TransactionReceipt } from 'ethers'
import type { ZerogError } from '../../sdk/protocol/errors.ts'

export type SubmitRequest = {
  readonly to: string
  /** ABI-encoded call, 0x hex. */
  readonly data: string
  readonly valueWei?: bigint
  /**
   * Idempotency key of the intent, unique per intent (put the period or id in it). A second submit of a label that is
   * in flight joins the first; a label whose transaction was mined while the process was down gets that receipt.
   */
  readonly label: string
  /** Last block in which the transaction is of use; after it the nonce is freed by a no-op. */
  readonly deadlineBlock?: number | bigint
  /** Says of a TX_REVERTED error (simulated or mined) that the work is done already; submit then returns null. */
  readonly alreadyDone?: (error: ZerogError) => boolean
  readonly signal?: AbortSignal
}

/**
 * The only way to send transactions from one key.
 *
 * `submit` resolves with the receipt of a successful transaction after the configured confirmations, or with null when
 * `alreadyDone` said so. Errors: TX_REVERTED (meta: selector, data, label; not retryable), INSUFFICIENT_FUNDS,
 * TX_UNDERPRICED, DEADLINE_PASSED, RPC_UNREACHABLE, ABORTED.
 */
export type Sender = {
  readonly address: string
  submit(request: SubmitRequest): Promise<TransactionReceipt | null>
  /** How many transactions wait to be mined. */
  pendingCount(): number
  stop(): Promise<void>
}
