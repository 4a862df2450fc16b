import { createStripeEncoder, type ErasureEngine } from '../protocol/erasure.ts'
import { type FileLayout, shardBytes } from '../protocol/layout.ts'
import type { FileSource } from './file-source.ts'

/** A column: the same byte range [offset, offset + length) of every shard. */
export type ColumnRange = { readonly offset: number; readonly length: number }

/** Bytes that the encoder takes at a time, small enough for two dozen such pieces to stay in the cache. */
const STEP_BYTES = 16_384

/** The column of one data shard, zero-padded past the end of the file. May use `into` and return it. */
export async function readDataColumn(
  source: FileSource,
  layout: FileLayout,
  { index, offset, length, into }: ColumnRange & { index: number; into?: Uint8Array },
): Promise<Uint8Array> {
  const start = index * shardBytes(layout) + offset
  const real = Math.min(length, Math.max(0, layout.byteLength - start))
  if (real === length) return source.read(start, length, into)
  const padded = into?.subarray(0, length).fill(0) ?? new Uint8Array(length)
  if (real > 0) padded.set(await source.read(start, real))
  return padded
}

/** The columns of all data shards, in shard order. `into`: one buffer per data shard to use again. */
export function readDataColumns(
  source: FileSource,
  layout: FileLayout,
  { into = [], ...range }: ColumnRange & { into?: readonly Uint8Array[] },
): Promise<Uint8Array[]> {
  return Promise.all(
    Array.from({ length: layout.dataShards }, (_, index) => {
      const buffer = into[index]
      return readDataColumn(source, layout, { ...range, index, ...(buffer && { into: buffer }) })
    }),
  )
}

/** The m parity columns of d data columns of equal length, in `into` when given. Not for two calls at a time. */
export type ParityEncoder = (
  data: readonly Uint8Array[],
  into?: readonly Uint8Array[],
) => readonly Uint8Array[]

/** An encoder that works over and over in the same memory. */
export function createParityEncoder(
  engine: ErasureEngine,
  { d, m }: { d: number; m: number },
): ParityEncoder {
  const stripe = createStripeEncoder(engine, { d, m, stripeBytes: STEP_BYTES })
  return (data, into) => {
    const length = data[0]?.length ?? 0
    const parity = into ?? Array.from({ length: m }, () => new Uint8Array(length))
    for (let start = 0; start < length; start += STEP_BYTES) {
      const end = Math.min(start + STEP_BYTES, length)
      stripe.data.forEach((input, i) => {
        input.set(data[i]?.subarray(start, end) ?? [])
      })
      stripe.encode(end - start)
      parity.forEach((output, r) => {
        output.set(stripe.parity[r]?.subarray(0, end - start) ?? [], start)
      })
    }
    return parity
  }
}
