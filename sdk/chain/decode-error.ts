import { type ErrorFragment, Interface, isError } from 'ethers'
import {
  IBeacon__factory,
  IDaCommittee__factory,
  IDaCourt__factory,
  IDaProver__factory,
  IDataAvailability__factory,
  IFlow__factory,
  IInferenceServing__factory,
  IJobEscrow__factory,
  ILedgerManager__factory,
  IModelRegistry__factory,
  IOperatorRegistry__factory,
  IStaking__factory,
  IStorageMarket__factory,
  IStorageProver__factory,
  IStorageStreams__factory,
} from '../../typechain-types/factories/interfaces/index.js'
import { errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import { OUTSIDE_ERRORS } from './outside-errors.ts'

/** A revert in words. Numbers in `args` are decimal strings, so that it survives JSON. */
export type DecodedError = {
  readonly error: string
  readonly args: Readonly<Record<string, unknown>>
  readonly sentence: string
}

const PANICS: Record<string, string> = {
  '1': 'an assertion failed',
  '17': 'a number overflowed',
  '18': 'a division by zero',
  '33': 'a value is not of its enum',
  '49': 'pop on an empty array',
  '50': 'an index lies outside its array',
  '65': 'too much memory was asked for',
}

const known = new Interface([
  ...[
    IFlow__factory,
    IStorageMarket__factory,
    IStorageStreams__factory,
    IStorageProver__factory,
    IStaking__factory,
    IOperatorRegistry__factory,
    IBeacon__factory,
    IDaCommittee__factory,
    IDataAvailability__factory,
    IDaProver__factory,
    IDaCourt__factory,
    ILedgerManager__factory,
    IInferenceServing__factory,
    IJobEscrow__factory,
    IModelRegistry__factory,
  ].flatMap((factory) => factory.createInterface().fragments.filter((fragment) => fragment.type === 'error')),
  ...OUTSIDE_ERRORS,
])

/** The revert data of one of our contracts in words; undefined when it is empty or of nobody we know. */
export function decodeRevert(data: string): DecodedError | undefined {
  if (!/^0x([0-9a-fA-F]{2}){4,}$/.test(data)) return undefined
  try {
    const parsed = known.parseError(data)
    if (parsed === null) return undefined
    if (parsed.name === 'Error') return decoded('Error', { reason: String(parsed.args[0]) })
    if (parsed.name === 'Panic') return decoded('Panic', { code: String(parsed.args[0]) })
    return decoded(parsed.name, namedArgs(parsed.fragment, parsed.args))
  } catch {
    return undefined
  }
}

/**
 * Turns anything thrown by ethers, a wallet or an RPC into one of our errors; ours pass unchanged, except that a
 * TX_REVERTED that carries only `meta.data` gains `meta.error`, `meta.args` and a sentence.
 *
 * Codes: TX_REVERTED (meta: error, args, data), INSUFFICIENT_FUNDS, NONCE_CONFLICT, TX_UNDERPRICED, FORBIDDEN (the
 * user refused to sign), RPC_UNREACHABLE, TIMEOUT, ABORTED, INTERNAL.
 */
export function chainError(error: unknown): ZerogError {
  if (isZerogError(error)) {
    if (error.code !== 'TX_REVERTED' || error.meta.error !== undefined) return error
    return reverted(String(error.meta.data ?? '0x'), error, error.meta)
  }
  const data = revertData(error)
  if (data !== undefined) return reverted(data, error)
  if (isError(error, 'INSUFFICIENT_FUNDS'))
    return new ZerogError('INSUFFICIENT_FUNDS', undefined, { cause: error })
  if (isError(error, 'NONCE_EXPIRED')) return new ZerogError('NONCE_CONFLICT', undefined, { cause: error })
  if (isError(error, 'REPLACEMENT_UNDERPRICED'))
    return new ZerogError('TX_UNDERPRICED', undefined, { cause: error })
  if (isError(error, 'ACTION_REJECTED'))
    return new ZerogError('FORBIDDEN', 'the wallet refused to sign', { cause: error })
  if (isError(error, 'CALL_EXCEPTION')) return reverted('0x', error)
  if (isError(error, 'BAD_DATA'))
    return new ZerogError('WRONG_CHAIN', 'there is no such contract at this address', { cause: error })
  if (isError(error, 'TIMEOUT')) return new ZerogError('TIMEOUT', undefined, { cause: error })
  if (isError(error, 'NETWORK_ERROR') || isError(error, 'SERVER_ERROR') || isConnectionFailure(error))
    return new ZerogError('RPC_UNREACHABLE', undefined, { cause: error })
  const code = errorCode(error)
  return new ZerogError(code, error instanceof Error ? error.message : undefined, { cause: error })
}

/** Whether `error` is a revert with the custom error `name`. */
export function isRevert(error: unknown, name: string): boolean {
  const known = chainError(error)
  return known.code === 'TX_REVERTED' && known.meta.error === name
}

/** What a read gives, or undefined where it reverts with the custom error `name`. */
export async function unlessRevert<T>(reading: Promise<T>, name: string): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (isRevert(error, name)) return undefined
    throw error
  }
}

function reverted(data: string, cause: unknown, meta: Readonly<Record<string, unknown>> = {}): ZerogError {
  const found = decodeRevert(data)
  const message = found?.sentence ?? (data === '0x' ? 'reverted without a reason' : `reverted with ${data}`)
  return new ZerogError('TX_REVERTED', message, {
    cause,
    meta: { ...meta, data, ...(found === undefined ? {} : { error: found.error, args: found.args }) },
  })
}

function decoded(error: string, args: Record<string, unknown>): DecodedError {
  return { error, args, sentence: sentenceOf(error, args) }
}

function namedArgs(fragment: ErrorFragment, values: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(fragment.inputs.map((input, i) => [input.name || `${i}`, plain(values[i])]))
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return Array.isArray(value) ? value.map(plain) : value
}

/** "DrawOutOfRange" with its values becomes "draw out of range (draw 9, draws 8)". */
function sentenceOf(error: string, args: Record<string, unknown>): string {
  if (error === 'Error') return String(args.reason)
  if (error === 'Panic') return PANICS[String(args.code)] ?? `panic ${args.code}`
  const words = (text: string) => text.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase()
  const values = Object.entries(args).map(([name, value]) => `${words(name)} ${value}`)
  return values.length === 0 ? words(error) : `${words(error)} (${values.join(', ')})`
}

/** Revert data wherever the provider put it: ethers' `data`, or a JSON-RPC error at any depth. */
function revertData(error: unknown, depth = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > 5) return undefined
  const fields = error as Record<string, unknown>
  if (typeof fields.data === 'string' && /^0x[0-9a-fA-F]{8,}$/.test(fields.data)) return fields.data
  for (const inner of [fields.data, fields.error, fields.info, fields.cause]) {
    const found = revertData(inner, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

function isConnectionFailure(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  return /^(ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|EHOSTUNREACH|UND_ERR)/.test(code)
}
