import { headerToJson, parseSignedHeader, type SignedHeader } from '../../sdk/protocol/blob-header.ts'
import { COMMITMENT_BYTES } from '../../sdk/protocol/cell-layout.ts'
import { type Column, columnFileBytes, decodeColumn, encodeColumn } from '../../sdk/protocol/column.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { BodyReader } from './body-reader.ts'

/** What a disperser sends to a node: its signed header, all commitments, and the columns of the node's seats. */
export type BlobOffer = {
  readonly commitments: readonly Uint8Array[]
  readonly columns: readonly Column[]
}

const MAX_LINE_BYTES = 4096

/** The body of a PUT: a line of JSON `{header, signature}`, the commitments, and the column files in ascending order. */
export function encodeOffer(
  { header, signature }: SignedHeader,
  { commitments, columns }: BlobOffer,
): Uint8Array {
  const line = JSON.stringify({ header: headerToJson(header), signature })
  return Buffer.concat([Buffer.from(`${line}\n`), ...commitments, ...columns.map(encodeColumn)])
}

/** Reads the first line of an offer. Throws BAD_REQUEST. */
export async function readOfferHeader(body: BodyReader): Promise<SignedHeader> {
  const line = Buffer.from(await body.line(MAX_LINE_BYTES)).toString('utf8')
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', 'the first line is not JSON', { cause })
  }
  return parseSignedHeader(json)
}

/** Bytes of an offer after its first line. */
export function offerBytes(blobCount: number, columnCount: number): number {
  return blobCount * COMMITMENT_BYTES + columnCount * columnFileBytes(blobCount)
}

/** Reads the rest of an offer: exactly these columns. Throws BAD_REQUEST, DA_CELL_INVALID. */
export async function readOfferBody(
  body: BodyReader,
  { blobCount, columns }: { blobCount: number; columns: readonly number[] },
): Promise<BlobOffer> {
  const commitments: Uint8Array[] = []
  for (let b = 0; b < blobCount; b++) commitments.push(await body.exactly(COMMITMENT_BYTES))
  const received: Column[] = []
  for (const expected of columns) {
    const column = decodeColumn(await body.exactly(columnFileBytes(blobCount)))
    if (column.column !== expected)
      throw new ZerogError('BAD_REQUEST', `expected column ${expected}, got ${column.column}`, {
        meta: { expected: [...columns] },
      })
    received.push(column)
  }
  await body.end()
  return { commitments, columns: received }
}
