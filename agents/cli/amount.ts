import { getAddress, isAddress, parseEther } from 'ethers'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** An amount in whole coins, such as `12.5`, or in wei with the unit: `1000wei`. Errors: BAD_REQUEST. */
export function parseAmount(text: string): bigint {
  const wei = /^(\d+)\s*wei$/.exec(text)
  if (wei?.[1] !== undefined) return BigInt(wei[1])
  if (!/^\d+(\.\d{1,18})?$/.test(text)) {
    throw new ZerogError('BAD_REQUEST', `"${text}" is not an amount: write 12.5 for coins or 1000wei for wei`)
  }
  return parseEther(text)
}

/** A whole number within bounds. Errors: BAD_REQUEST. */
export function parseCount(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new ZerogError('BAD_REQUEST', `${name} must be a whole number from ${min} to ${max}, not "${text}"`)
  }
}

/** A whole number of any size. Errors: BAD_REQUEST. */
export function parseNumber(name: string): (text: string) => bigint {
  return (text) => {
    if (/^\d+$/.test(text)) return BigInt(text)
    throw new ZerogError('BAD_REQUEST', `${name} must be a whole number, not "${text}"`)
  }
}

const BYTE_UNITS: Record<string, number> = { '': 1, B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 }

/** A number of bytes, such as `1500`, `20GB` or `1.5TB`. Errors: BAD_REQUEST. */
export function parseBytes(name: string): (text: string) => number {
  return (text) => {
    const [, count = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text) ?? []
    const bytes = Number(count) * (BYTE_UNITS[unit] ?? Number.NaN)
    if (count !== '' && Number.isSafeInteger(bytes)) return bytes
    throw new ZerogError('BAD_REQUEST', `${name} must be a number of bytes such as 500GB, not "${text}"`)
  }
}

/** An http(s) URL without a trailing slash. Errors: BAD_REQUEST. */
export function parseUrl(name: string): (text: string) => string {
  return (text) => {
    if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '')
    throw new ZerogError('BAD_REQUEST', `${name} must be an http:// or https:// URL, not "${text}"`)
  }
}

/** An address. Errors: BAD_HEX. */
export function parseAddress(text: string): string {
  if (isAddress(text)) return getAddress(text)
  throw new ZerogError('BAD_HEX', `"${text}" is not an address: 0x and 40 hex digits`)
}

/** What names a file on the network: a root (0x and 64 hex digits) or a txSeq. Errors: BAD_HEX. */
export function parseFileId(text: string): { root: string } | { txSeq: bigint } {
  if (/^\d+$/.test(text)) return { txSeq: BigInt(text) }
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return { root: text.toLowerCase() }
  throw new ZerogError('BAD_HEX', `"${text}" is neither a root (0x and 64 hex digits) nor a txSeq (a number)`)
}

/** The id of a blob: 0x and 64 hex digits. Errors: BAD_HEX. */
export function parseBlobId(text: string): string {
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase()
  throw new ZerogError('BAD_HEX', `"${text}" is not the id of a blob: 0x and 64 hex digits`)
}

/** A byte range `from-to`, both included, or `from-`. Errors: RANGE_INVALID. */
export function parseRange(text: string): { start: number; end?: number } {
  const match = /^(\d+)-(\d*)$/.exec(text)
  const start = Number(match?.[1])
  const last = match?.[2] === '' ? undefined : Number(match?.[2])
  if (match === null || (last !== undefined && last < start)) {
    throw new ZerogError('RANGE_INVALID', `"${text}" is not a byte range: write 0-1023 or 1024-`)
  }
  return last === undefined ? { start } : { start, end: last + 1 }
}
