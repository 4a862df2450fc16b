import { JsonRpcSigner, type Signer, type TransactionReceipt } from 'ethers'
import { ZerogError } from '../protocol/errors.ts'
import type { ChainCall } from './chain-call.ts'
import type { Chain } from './connect.ts'
import { chainError } from './decode-error.ts'
import { read } from './read.ts'

/**
 * One transaction to send. `label` names the intent and is unique to it. `nonce`, for senders that know one, makes a
 * repeated attempt replace the first instead of adding to it.
 */
export type SendRequest = ChainCall & {
  readonly label: string
  readonly nonce?: number
  readonly signal?: AbortSignal
}

/** Whatever sends transactions for one account: an agent's sender, or a wallet through {@link signerSender}. */
export type TxSender = {
  readonly address: string
  submit(request: SendRequest): Promise<TransactionReceipt | null>
  /** The nonce that the next transaction would take. Absent: the sender keeps its intents apart by label. */
  nextNonce?(): Promise<number>
  /**
   * An EIP-191 personal signature of `text` by the account itself, or by the key that it names as its sealer
   * (`setSealerCall`): a contract account has no other. Uploads need it.
   */
  signMessage?(text: string): Promise<string>
}

/** Long enough for a block to come, and for a user to confirm in a wallet. */
const MINED_TIMEOUT_MS = 300_000
const SPARE_GAS = 50_000n

/**
 * A sender over an ethers signer or browser wallet: simulates, sends, waits for one confirmation.
 *
 * Errors of `submit`: TX_REVERTED, INSUFFICIENT_FUNDS, FORBIDDEN when the user refuses, NONCE_CONFLICT, RPC_UNREACHABLE,
 * TIMEOUT when it is not mined in five minutes (it may be later), ABORTED. `signMessage` fails with FORBIDDEN when the user
 * refuses, or TIMEOUT.
 */
export async function signerSender(chain: Chain, signer: Signer): Promise<TxSender> {
  const connected = signer.provider === null ? signer.connect(chain.provider) : signer
  const address = await connected.getAddress()
  return {
    address,
    submit: (request) => sendWith(connected, request),
    nextNonce: () => read(chain.provider.getTransactionCount(address, 'pending')),
    signMessage: (text) => read(connected.signMessage(text), { timeoutMs: MINED_TIMEOUT_MS }),
  }
}

/** Like `submit`, but a null receipt ("done already") is an error for callers that need the receipt. */
export async function sendCall(sender: TxSender, request: SendRequest): Promise<TransactionReceipt> {
  let receipt: TransactionReceipt | null
  try {
    receipt = await sender.submit(request)
  } catch (error) {
    throw chainError(error)
  }
  if (receipt !== null) return receipt
  throw new ZerogError('INTERNAL', `the sender reported no receipt for ${request.label}`)
}

async function sendWith(signer: Signer, request: SendRequest): Promise<TransactionReceipt> {
  const { to, data, valueWei, nonce, signal } = request
  const options = signal === undefined ? {} : { signal }
  const tx = { to, data, value: valueWei, ...(nonce === undefined ? {} : { nonce }) }
  const [gas, rest] = await read(Promise.all([signer.estimateGas(tx), nonceAndFees(signer, nonce)]), options)
  // State may move between the simulation and the block: a fifth more, and room for two new storage slots.
  const gasLimit = (gas * 12n) / 10n + SPARE_GAS
  const response = await read(signer.sendTransaction({ ...tx, ...rest, gasLimit }), {
    ...options,
    timeoutMs: MINED_TIMEOUT_MS,
  })
  const receipt = await read(response.wait(1), { ...options, timeoutMs: MINED_TIMEOUT_MS })
  if (receipt === null) throw new ZerogError('TIMEOUT', 'the transaction was not mined in time')
  return receipt
}

/**
 * What a signer would ask for one after the other before it signs, asked at once. A wallet outside of this program chooses
 * by itself; so does a signer on a chain without EIP-1559.
 */
async function nonceAndFees(signer: Signer, known: number | undefined) {
  const { provider } = signer
  if (provider === null || signer instanceof JsonRpcSigner) return {}
  const [nonce, { maxFeePerGas, maxPriorityFeePerGas }] = await Promise.all([
    known ?? signer.getNonce('pending'),
    provider.getFeeData(),
  ])
  return maxFeePerGas === null || maxPriorityFeePerGas === null
    ? { nonce }
    : { nonce, maxFeePerGas, maxPriorityFeePerGas }
}
