/** What a code means, what to do about it, and how it leaves the process. Exit codes follow sysexits.h. */
type ErrorRow = { meaning: string; action: string; httpStatus: number; exitCode: number; retryable: boolean }

/**
 * Every code an error of ours can carry. A code is never renamed: callers switch on it, the docs and the counters list it.
 * `retryable` says whether the same call may succeed later without anybody changing anything. (size: one object)
 */
export const ERROR_CODES = {
  // Files, trees and shards
  EMPTY_FILE: row('The file has no bytes', 'Give a file of at least one byte', 400, 65),
  FILE_TOO_LARGE: row('The file is over the size limit', 'Split it, or raise the limit', 413, 65),
  FILE_CHANGED: row('The file changed while it was read', 'Leave the file alone and start again', 409, 65),
  FILE_EXISTS: row('The target file exists already', 'Choose another name or allow overwriting', 409, 73),
  FILE_MISSING: row('The file cannot be opened', 'Check the path and its permissions', 404, 66),
  ROOT_MISMATCH: row(
    'The bytes do not hash to the expected root',
    'Fetch the bytes from another source',
    422,
    65,
  ),
  PROOF_INVALID: row('A Merkle proof does not hold', 'Fetch the proof from another source', 422, 65),
  SHARDS_MISSING: row(
    'Fewer shards are reachable than the file needs',
    'Try again when providers are back',
    503,
    69,
    true,
  ),
  SHARD_UNKNOWN: row('This shard is not held here', 'Ask the custodian that the Sealed event names', 404, 66),
  SHARD_INCOMPLETE: row(
    'The shard has not arrived in full yet',
    'Send the missing ranges first',
    409,
    75,
    true,
  ),
  OFFSET_MISMATCH: row(
    'The chunk does not continue what has arrived',
    'Send from the offset that the error names',
    409,
    75,
    true,
  ),
  RANGE_INVALID: row('The byte range lies outside the object', 'Ask for a range within its length', 416, 65),
  ERASURE_INVALID: row(
    'The erasure code cannot take these shards',
    'Check count, length and number of shards',
    400,
    65,
  ),
  SUBMISSION_INVALID: row('The submission breaks the padding rules', 'Build it with submissionOf', 400, 65),

  // Requests and set-up
  BAD_HEX: row(
    'A value is not hex of the expected length',
    'Give 0x and the right number of hex digits',
    400,
    64,
  ),
  BAD_REQUEST: row('The request is malformed', 'Correct the field that the message names', 400, 64),
  BODY_TOO_LARGE: row('The request body is over the limit', 'Send smaller parts', 413, 65),
  NOT_FOUND: row('There is nothing at this address', 'Check the path', 404, 66),
  RATE_LIMITED: row('Too many requests from this address', 'Slow down and try again', 429, 75, true),
  OVERLOADED: row('The server is at its concurrency limit', 'Try again shortly', 503, 75, true),
  UNAUTHORIZED: row(
    'The request lacks a valid signature',
    'Sign it with the key the resource belongs to',
    401,
    77,
  ),
  FORBIDDEN: row('The caller may not do this', 'Use the account that may', 403, 77),
  CONFIG_INVALID: row(
    'The configuration is not usable',
    'Correct every variable that the message lists',
    500,
    78,
  ),
  KEYSTORE_INVALID: row('The keystore cannot be opened', 'Check the file and its password', 500, 78),
  REDIS_MISSING: row('No redis-server and no REDIS_URL', 'Install redis-server or set REDIS_URL', 500, 78),
  ADDRESS_BOOK_INVALID: row(
    'The address book is missing or malformed',
    'Deploy first, or give the right file',
    500,
    78,
  ),
  STORE_CORRUPT: row(
    'The local database cannot be used',
    'Restore it or start with a fresh data folder',
    500,
    74,
  ),
  STORE_NEWER: row(
    'A newer version wrote the local database',
    'Use that version, or a fresh data folder',
    500,
    78,
  ),
  DATA_DIR_IN_USE: row(
    'Another process uses the data folder',
    'Stop it, or give each process a folder',
    500,
    78,
  ),
  WASM_UNAVAILABLE: row(
    'The platform cannot run the WASM engine',
    'Use a newer runtime or the reference engine',
    500,
    69,
  ),

  // Machine and network
  DISK_FULL: row('There is no room left', 'Free space or raise the capacity', 507, 74, true),
  PEER_UNREACHABLE: row(
    'The other side does not answer',
    'Check its address; it may be back later',
    502,
    69,
    true,
  ),
  PEER_MISBEHAVED: row('The other side answered against the protocol', 'Use another provider', 502, 76),
  TIMEOUT: row('The operation took longer than allowed', 'Try again or allow more time', 504, 75, true),
  ABORTED: row('The operation was cancelled', 'Start it again to resume', 499, 130),
  INTERNAL: row('Something unexpected went wrong', 'Report it with the log', 500, 70),

  // Chain
  RPC_UNREACHABLE: row('The chain RPC does not answer', 'Check RPC_URL; it may be back later', 503, 69, true),
  WRONG_CHAIN: row(
    'The RPC serves another chain',
    'Point RPC_URL at the right chain or use a fresh data folder',
    500,
    78,
  ),
  REORGED: row(
    'The chain was reorganized under the operation',
    'It is repeated on the new head',
    503,
    75,
    true,
  ),
  LOG_GAP: row('The RPC left out logs', 'They are read again; use another RPC if it goes on', 503, 75, true),
  TX_REVERTED: row('The transaction reverts', 'See the decoded reason', 422, 65),
  TX_REFUSED: row(
    'The node does not take the transaction',
    'See the reason; it is tried again',
    502,
    75,
    true,
  ),
  TX_UNDERPRICED: row(
    'The transaction costs more than the fee cap',
    'Raise MAX_FEE_GWEI or wait',
    503,
    75,
    true,
  ),
  NONCE_CONFLICT: row('Another transaction took this nonce', 'Use one process per key', 409, 75, true),
  DEADLINE_PASSED: row('It is too late for this on chain', 'Nothing to do', 410, 65),
  INSUFFICIENT_FUNDS: row('The account cannot pay for this', 'Fund the account', 402, 77),
  SIGNATURE_INVALID: row('The signature is not by the expected signer', 'Sign with the right key', 401, 65),

  // Deployment
  NETWORK_REFUSED: row('The contracts cannot work on this chain', 'Deploy to another network', 500, 69),
  DEPLOYMENT_DIFFERS: row('Something else is deployed there', 'Compare; --fresh deploys anew', 409, 73),
  DEPLOYMENT_INVALID: row(
    'What stands on chain is not what was planned',
    'Do not use it; see the list',
    500,
    70,
  ),
  CONFIRMATION_NEEDED: row('Nobody agreed to spend money', 'Answer the question or give --yes', 400, 64),
  EXPLORER_FAILED: row('The explorer did not take the sources', 'Try --verify again later', 502, 69, true),

  // Deals
  UNKNOWN_ROOT: row(
    'No submission with this root is known',
    'Check the root; it may not be mined yet',
    404,
    66,
  ),
  UNKNOWN_SUBMISSION: row('There is no submission with this number', 'Check the txSeq', 404, 66),
  UNKNOWN_DEAL: row('There is no deal with this number', 'Check the txSeq', 404, 66),
  NOT_SEALED: row('The deal is not sealed yet', 'Wait for the seal or a refund', 403, 75, true),
  ALREADY_SEALED: row('The deal is sealed already', 'Nothing to do', 409, 65),
  DEAL_REFUNDED: row('The deal was refunded before its seal', 'Submit the file again', 410, 65),
  DEAL_ENDED: row('The term of the deal is over', 'Submit the file again', 410, 65),
  DEAL_LOST: row(
    'More shards are gone than the parity can restore',
    'The rest of the payment was refunded',
    410,
    65,
  ),
  DEAL_DEGRADED: row(
    'A shard is open and waits for repair',
    'Reads still work; repair is under way',
    503,
    75,
    true,
  ),
  PRICE_TOO_LOW: row(
    'The deal pays less than the provider asks',
    'Offer more or ask another provider',
    402,
    65,
  ),
  CUSTODY_REFUSED: row('The provider does not take this shard', 'Ask another provider', 409, 69),
  QUOTA_EXCEEDED: row(
    'The owner has too many unsealed bytes here',
    'Seal or wait for the deadline of earlier files',
    429,
    75,
    true,
  ),
  PARITY_WRONG: row('A parity shard is not the parity of the data shards', 'Encode the file again', 424, 65),
  CUSTODIANS_MISSING: row(
    'Too few providers take part',
    'Try again when more providers are online',
    503,
    69,
    true,
  ),
  STAKE_TOO_LOW: row('The locked stake does not cover the custody', 'Add stake', 409, 65),
  SUSPENDED: row('The provider is suspended', 'See its strikes and stake', 409, 77),

  // Data availability
  DA_EMPTY_PAYLOAD: row('The payload has no bytes', 'Give at least one byte', 400, 65),
  DA_PAYLOAD_TOO_LARGE: row(
    'The payload is over the limit of one header',
    'Split it over several blobs',
    413,
    65,
  ),
  DA_INVALID_BLOB: row(
    'What was published is not the canonical encoding of a payload',
    'No reader gets bytes of it; publish again',
    422,
    65,
  ),
  DA_CELL_INVALID: row('A cell does not fit its header', 'Fetch the column from another node', 422, 65),
  DA_TOO_FEW_COLUMNS: row(
    'Fewer columns are reachable than the blob needs',
    'Try again when nodes are back',
    503,
    69,
    true,
  ),
  DA_UNKNOWN_BLOB: row('No blob with this id is known', 'Check the id; it may not be mined yet', 404, 66),
  DA_EXPIRED: row('The retention of the blob is over', 'Publish the payload again', 410, 65),
  DA_UNPAID: row('The header is not paid on chain', 'Submit it with its fee first', 402, 75, true),
  DA_NOT_CONFIRMED: row(
    'The blob has not reached the wanted quorum',
    'Wait, or publish it through another disperser',
    503,
    75,
    true,
  ),
  DA_REFUNDED: row('The header was refunded before its quorum', 'Publish the payload again', 410, 65),
  DA_CONVICTED: row('The disperser of this header was convicted', 'Do not use the blob', 422, 65),
  DA_WRONG_CHAIN: row('The header names another chain or contract', 'Use the header of this chain', 400, 65),
  DA_WRONG_EPOCH: row(
    'The header is not of the active epoch',
    'Publish the payload again under the present epoch',
    409,
    65,
  ),
  DA_NOT_COMMITTEE: row('The operator has no seat in this epoch', 'Ask a member of the committee', 403, 77),
  DA_EQUIVOCATION: row(
    'Another header with this nonce is known already',
    'Do not trust this disperser; both headers are evidence',
    409,
    65,
  ),
  DA_BUSY: row('The agent has all the blobs in hand that it takes', 'Try again shortly', 503, 75, true),
  // Compute
  COMPUTE_MODEL_UNKNOWN: row(
    'The provider does not serve this model',
    'Ask for one that /v1/models lists',
    404,
    66,
  ),
  COMPUTE_MODEL_INVALID: row(
    'The model cannot be used',
    'See the message; publish or choose another',
    422,
    65,
  ),
  COMPUTE_CONTEXT_TOO_LONG: row('The prompt is longer than the context', 'Send a shorter prompt', 400, 65),
  COMPUTE_INPUT_INVALID: row('The model does not take this input', 'Correct what the message names', 400, 65),
  COMPUTE_BALANCE_TOO_LOW: row(
    'The account does not cover the request',
    'Top up or raise the ceiling or cap',
    402,
    77,
  ),
  COMPUTE_GATE_CLOSED: row(
    "The model's gate does not let this account in",
    'Hold what the gate asks for',
    403,
    77,
  ),
  COMPUTE_BUSY: row('The provider has all the requests it takes', 'Try again shortly', 429, 75, true),
  COMPUTE_UNAVAILABLE: row(
    'The model does not run now',
    'Try again shortly, or another provider',
    503,
    69,
    true,
  ),
  INFERENCE_NO_PROVIDER: row(
    'No provider can answer the request',
    'See the failures; raise the maximum price, or try again later',
    503,
    69,
    true,
  ),
  INFERENCE_UNVERIFIED: row(
    'A provider gives no signature and receipt for its answer',
    'Do not use the answer; ask another provider',
    502,
    76,
  ),
  INFERENCE_BYTES_DIFFER: row(
    'What a provider signed is not what was sent and received',
    'Do not use the answer; ask another provider',
    502,
    76,
  ),
  INFERENCE_SIGNER_WRONG: row(
    "An answer is not signed by the service's signer on chain",
    'Do not use the answer; ask another provider',
    502,
    76,
  ),
  INFERENCE_REPLAYED: row(
    'A provider shows the signature or receipt of an earlier answer',
    'Do not use the answer; ask another provider',
    502,
    76,
  ),
  INFERENCE_MODEL_DIFFERS: row(
    'An answer or its receipt is of another model',
    'Do not use the answer; ask another provider',
    502,
    76,
  ),
  INFERENCE_FEE_WRONG: row(
    'A receipt does not follow from the units and the price on chain',
    'Nothing more is paid to this provider; ask another',
    502,
    76,
  ),
  INFERENCE_OVERBILLED: row(
    'A provider counts more than the answers that were verified here',
    'Nothing more is paid to it; see whether another program uses the account',
    502,
    76,
  ),
  INFERENCE_CUT: row('An answer ended before it was whole', 'Ask again, or another provider', 502, 69, true),
  INFERENCE_LIMIT_REACHED: row(
    'The request could cost more than is left of the spending limit',
    'Raise the limit, or ask for less',
    402,
    77,
  ),
  JOB_UNKNOWN: row('There is no job with this number', 'Check the number; it may not be mined yet', 404, 66),
  JOB_UNTAKEN: row(
    'Nobody took the job before its deadline',
    'The money is back; offer more or a later deadline',
    410,
    69,
  ),
  JOB_LATE: row(
    'The job was not done in time',
    "Price and the provider's bond are with the client; submit it again",
    410,
    69,
  ),
  JOB_REFUNDED: row('The job was taken back, or decided for the client', 'The money is back', 410, 69),
  JOB_OUTPUT_INVALID: row(
    "A job's output is not what was asked for",
    'It is disputed; wait for the arbiter',
    422,
    65,
  ),
} as const satisfies Record<string, ErrorRow>

/** A stable code of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES

/** The one error type of the SDK and the agents. Switch on `code`, never on the message. */
export class ZerogError extends Error {
  override readonly name = 'ZerogError'
  readonly code: ErrorCode
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** Values that explain the error; never secrets. */
  readonly meta: Readonly<Record<string, unknown>>

  /** `message` defaults to the meaning of the code, `retryable` to the code's own. */
  constructor(
    code: ErrorCode,
    message?: string,
    options: { meta?: Record<string, unknown>; cause?: unknown; retryable?: boolean } = {},
  ) {
    super(message ?? ERROR_CODES[code].meaning, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable
    this.meta = options.meta ?? {}
  }
}

/** Whether `value` is a {@link ZerogError}, also one from a second copy of the package or another realm. */
export function isZerogError(value: unknown): value is ZerogError {
  if (value instanceof ZerogError) return true
  return value instanceof Error && value.name === 'ZerogError' && 'code' in value && isErrorCode(value.code)
}

/** Whether `value` is a code of the table. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value)
}

/** The code of anything thrown: its own, ABORTED or TIMEOUT for an AbortSignal's reason, else INTERNAL. */
export function errorCode(error: unknown): ErrorCode {
  if (isZerogError(error)) return error.code
  // DOMException is an Error in browsers and in Node, yet not always of this realm.
  const name = typeof error === 'object' && error !== null && 'name' in error ? error.name : undefined
  if (name === 'AbortError') return 'ABORTED'
  if (name === 'TimeoutError') return 'TIMEOUT'
  return 'INTERNAL'
}

function row(
  meaning: string,
  action: string,
  httpStatus: number,
  exitCode: number,
  retryable = false,
): ErrorRow {
  return { meaning, action, httpStatus, exitCode, retryable }
}
