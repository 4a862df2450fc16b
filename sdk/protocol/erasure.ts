import { decodeMatrix, type ErasureCode, type GfMatrix, parityMatrix } from './erasure-matrix.ts'
import { ZerogError } from './errors.ts'
import { gfMul } from './gf256.ts'

/** Bytes of each shard that `encode` and `reconstruct` take at a time: two dozen such pieces fit the L2 cache. */
const STEP_BYTES = 16_384

/**
 * Buffers to fill and to read, and the multiplication between them. The buffers stay where they are (in the engine's own memory), so bytes
 * can be read straight into `inputs` and written straight from `outputs`.
 */
export type Stripe = {
  inputs: Uint8Array[]
  outputs: Uint8Array[]
  /** Fills the first `byteLength` bytes (default: all) of every output from the inputs. */
  run(byteLength?: number): void
}

/**
 * Systematic Reed-Solomon code over GF(2^8) (polynomial 0x11d, Cauchy parity). Engines share this type and must agree with
 * {@link referenceErasure}. Shards of one call have the same length, any number of bytes.
 */
export type ErasureEngine = {
  readonly name: string
  /** The m parity shards of 1 to 16 data shards. Throws ERASURE_INVALID. */
  encode(data: readonly Uint8Array[], m: number): Uint8Array[]
  /**
   * The `want`ed shards (default: all missing ones) from any d of the d + m; missing ones are undefined. Throws SHARDS_MISSING when fewer than d
   * are there, ERASURE_INVALID when they do not fit together.
   */
  reconstruct(
    shards: readonly (Uint8Array | undefined)[],
    d: number,
    m: number,
    want?: readonly number[],
  ): Uint8Array[]
  /** Buffers for a matrix with one column per input and one row per output. */
  createStripe(options: { matrix: GfMatrix; stripeBytes: number }): Stripe
}

/** Buffers for encoding a long file piece by piece, without copies. */
export function createStripeEncoder(
  engine: ErasureEngine,
  { d, m, stripeBytes }: ErasureCode & { stripeBytes: number },
): { data: Uint8Array[]; parity: Uint8Array[]; encode(byteLength?: number): void } {
  const { inputs, outputs, run } = engine.createStripe({ matrix: parityMatrix({ d, m }), stripeBytes })
  return { data: inputs, parity: outputs, encode: run }
}

/** Buffers for restoring the `wanted` shards from d `present` ones piece by piece, without copies. */
export function createStripeDecoder(
  engine: ErasureEngine,
  options: ErasureCode & { present: readonly number[]; wanted: readonly number[]; stripeBytes: number },
): { present: Uint8Array[]; wanted: Uint8Array[]; decode(byteLength?: number): void } {
  const { inputs, outputs, run } = engine.createStripe({
    matrix: decodeMatrix(options, options),
    stripeBytes: options.stripeBytes,
  })
  return { present: inputs, wanted: outputs, decode: run }
}

/** Plain TypeScript: slow, and what the engines are held against. */
export const referenceErasure: ErasureEngine = createErasureEngine('reference', ({ matrix, stripeBytes }) => {
  const inputs = Array.from(matrix[0] ?? [], () => new Uint8Array(stripeBytes))
  const outputs = matrix.map(() => new Uint8Array(stripeBytes))
  const products = matrix.map((row) => Array.from(row, productsOf))
  return {
    inputs,
    outputs,
    run(byteLength = stripeBytes) {
      outputs.forEach((output, r) => {
        output.fill(0, 0, byteLength)
        inputs.forEach((input, i) => {
          const product = products[r]?.[i] ?? output
          for (let at = 0; at < byteLength; at++) {
            output[at] = (output[at] ?? 0) ^ (product[input[at] ?? 0] ?? 0)
          }
        })
      })
    },
  }
})

/** An engine around its way of multiplying. */
export function createErasureEngine(
  name: string,
  createStripe: ErasureEngine['createStripe'],
): ErasureEngine {
  function combine(matrix: GfMatrix, inputs: readonly Uint8Array[]): Uint8Array[] {
    const byteLength = inputs[0]?.length ?? 0
    if (inputs.some((input) => input.length !== byteLength)) {
      throw new ZerogError('ERASURE_INVALID', 'shards of one file have one length')
    }
    const outputs = matrix.map(() => new Uint8Array(byteLength))
    if (matrix.length === 0 || byteLength === 0) return outputs
    const stripe = createStripe({ matrix, stripeBytes: Math.min(STEP_BYTES, byteLength) })
    for (let start = 0; start < byteLength; start += STEP_BYTES) {
      const end = Math.min(start + STEP_BYTES, byteLength)
      inputs.forEach((input, i) => {
        stripe.inputs[i]?.set(input.subarray(start, end))
      })
      stripe.run(end - start)
      stripe.outputs.forEach((output, r) => {
        outputs[r]?.set(output.subarray(0, end - start), start)
      })
    }
    return outputs
  }

  return {
    name,
    createStripe,
    encode: (data, m) => combine(parityMatrix({ d: data.length, m }), data),
    reconstruct(shards, d, m, want) {
      if (shards.length !== d + m)
        throw new ZerogError('ERASURE_INVALID', `expected ${d + m} shards, present or not`)
      const there = shards
        .flatMap((shard, index) => (shard === undefined ? [] : [{ shard, index }]))
        .slice(0, d)
      if (there.length < d) {
        throw new ZerogError('SHARDS_MISSING', undefined, { meta: { present: there.length, needed: d } })
      }
      const wanted = want ?? shards.flatMap((shard, index) => (shard === undefined ? [index] : []))
      const matrix = decodeMatrix({ d, m }, { present: there.map(({ index }) => index), wanted })
      return combine(
        matrix,
        there.map(({ shard }) => shard),
      )
    },
  }
}

function productsOf(factor: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, value) => gfMul(factor, value))
}
