import { availableParallelism } from 'node:os'
import { setImmediate as turn } from 'node:timers/promises'
import { blobCountOf, encodeBlob } from '../../sdk/protocol/blob.ts'
import { COLUMNS } from '../../sdk/protocol/cell-layout.ts'
import { cellsLevels, columnRoot, commitmentsRoot, treePath, treeRoot } from '../../sdk/protocol/cell-tree.ts'
import type { Column, ProvedCell } from '../../sdk/protocol/column.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { KzgEngine } from '../../sdk/protocol/kzg-engine.ts'

/** A payload as it is dispersed: commitments of its KZG blobs, its 128 columns, and the roots of a header. */
export type EncodedPayload = {
  readonly blobCount: number
  readonly payloadBytes: number
  readonly payloadHash: string
  readonly commitments: readonly Uint8Array[]
  readonly columns: readonly Column[]
  readonly commitmentsRoot: string
  readonly cellsRoot: string
}

/**
 * Encodes a payload: always to the same bytes. The engine works on its own threads, one KZG blob for each core at a time;
 * hashing lets go of the event loop between columns. Errors: DA_EMPTY_PAYLOAD, DA_PAYLOAD_TOO_LARGE, ABORTED.
 */
export async function encodePayload(
  { hasher, kzg }: { hasher: Hasher; kzg: KzgEngine },
  payload: Uint8Array,
  { signal, width = availableParallelism() }: { signal: AbortSignal; width?: number },
): Promise<EncodedPayload> {
  const blobCount = blobCountOf(payload.length)
  const encoded: Awaited<ReturnType<KzgEngine['encode']>>[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < blobCount) {
      const blobIndex = next++
      encoded[blobIndex] = await kzg.encode(encodeBlob(payload, blobIndex), signal)
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, blobCount) }, worker))

  const rows: ProvedCell[][] = []
  const roots: Uint8Array[] = []
  for (let column = 0; column < COLUMNS; column++) {
    const cells = encoded.map(({ cells, proofs }) => provedCell(cells[column], proofs[column]))
    rows.push(cells)
    roots.push(columnRoot(hasher, column, cells))
    await turn(undefined, { signal })
  }
  const levels = cellsLevels(hasher, roots)
  const commitments = encoded.map(({ commitment }) => commitment)
  return {
    blobCount,
    payloadBytes: payload.length,
    payloadHash: toHex(hasher.keccak256(payload)),
    commitments,
    columns: rows.map((cells, column) => ({ column, cells, siblings: treePath(levels, column) })),
    commitmentsRoot: toHex(commitmentsRoot(hasher, commitments)),
    cellsRoot: toHex(treeRoot(levels)),
  }
}

function provedCell(cell: Uint8Array | undefined, proof: Uint8Array | undefined): ProvedCell {
  if (cell === undefined || proof === undefined)
    throw new ZerogError('INTERNAL', `the KZG engine gave fewer than ${COLUMNS} cells`)
  return { cell, proof }
}
