import { COLUMNS } from '../../sdk/protocol/cell-layout.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A blob id as it stands in a path, lower case. Throws BAD_HEX. */
export function parseBlobId(text: unknown): string {
  if (typeof text === 'string' && /^0x[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase()
  throw new ZerogError('BAD_HEX', 'a blob id is 0x and 64 hex digits')
}

/** A column as it stands in a path. Throws BAD_REQUEST. */
export function parseColumn(text: unknown): number {
  const column = typeof text === 'string' && /^(0|[1-9]\d{0,2})$/.test(text) ? Number(text) : COLUMNS
  if (column < COLUMNS) return column
  throw new ZerogError('BAD_REQUEST', `a column is a whole number below ${COLUMNS}`)
}

/** A number of periods in a query; `fallback` when there is none. Throws BAD_REQUEST. */
export function parsePeriods(text: unknown, fallback: bigint): bigint {
  if (text === undefined) return fallback
  if (typeof text === 'string' && /^[1-9]\d{0,9}$/.test(text)) return BigInt(text)
  throw new ZerogError('BAD_REQUEST', 'retentionPeriods must be a whole number above 0')
}
