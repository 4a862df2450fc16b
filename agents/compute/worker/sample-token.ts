import { createHash } from 'node:crypto'
import type { Sampling } from './messages.ts'

/** Logits of one position inside a larger array. */
export type Logits = { readonly data: Float32Array; readonly start: number; readonly length: number }

/**
 * The next token. With a temperature it is drawn from the smallest set of tokens whose probability reaches `topP`, by the
 * uniform number u = (first 53 bits of sha256(seed, step as 4 bytes, big-endian)) / 2^53: whoever knows the seed draws the same.
 */
export function sampleToken(logits: Logits, sampling: Sampling, step: number): number {
  const best = likeliest(logits)
  if (sampling.temperature <= 0) return best
  const { data, start, length } = logits
  const top = data[start + best] ?? 0
  const weights = new Float64Array(length)
  let total = 0
  for (let i = 0; i < length; i++) {
    const weight = Math.exp(((data[start + i] ?? 0) - top) / sampling.temperature)
    weights[i] = weight
    total += weight
  }
  const u = uniform(sampling.seed, step)
  if (sampling.topP >= 1) return draw(weights, undefined, u * total) ?? best
  // Ties are broken by the token's number, so that the order is the same everywhere.
  const order = Array.from(weights.keys()).sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b)
  let kept = 0
  let mass = 0
  while (kept < order.length && mass < sampling.topP * total) mass += weights[order[kept++] ?? 0] ?? 0
  return draw(weights, order.slice(0, kept), u * mass) ?? best
}

/** The token with the highest logit, the first of equals; NaN never wins. */
export function likeliest({ data, start, length }: Logits): number {
  let best = 0
  let top = Number.NEGATIVE_INFINITY
  for (let i = 0; i < length; i++) {
    const value = data[start + i] ?? 0
    if (value > top) {
      top = value
      best = i
    }
  }
  return best
}

function draw(
  weights: Float64Array,
  order: readonly number[] | undefined,
  target: number,
): number | undefined {
  let passed = 0
  const count = order?.length ?? weights.length
  for (let i = 0; i < count; i++) {
    const token = order?.[i] ?? i
    passed += weights[token] ?? 0
    if (passed > target) return token
  }
  return order?.at(-1)
}

function uniform(seed: Uint8Array, step: number): number {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(step)
  const digest = createHash('sha256').update(seed).update(number).digest()
  return Number(digest.readBigUInt64BE() >> 11n) / 2 ** 53
}
