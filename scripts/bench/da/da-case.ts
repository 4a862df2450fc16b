import { PAYLOAD_BYTES_PER_BLOB, PREFIX_BYTES } from '../../../sdk/protocol/blob.ts'
import { BLOB_BYTES } from '../../../sdk/protocol/cell-layout.ts'
import { type BenchCase, MIB } from '../storage/bench-case.ts'

/** One line of the DA benchmark. It has no target: `figure` is measured over reference, or the figure itself where there is none. */
export type DaCase = Omit<BenchCase, 'target' | 'isReached'>

/** KZG blobs of the payload that is measured: 3 MiB of field elements. */
export const BLOB_COUNT = 24
/** The largest payload that fits into them. */
export const PAYLOAD_BYTES = BLOB_COUNT * PAYLOAD_BYTES_PER_BLOB - PREFIX_BYTES

/** MiB of KZG blobs in a second. */
export function mibPerSec(blobs: number, seconds: number): number {
  return (blobs * BLOB_BYTES) / MIB / seconds
}

/** Throws when the work that is measured is not done: figures of wrong results are worth nothing. */
export function sane(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(`not worth measuring: ${what}`)
}
