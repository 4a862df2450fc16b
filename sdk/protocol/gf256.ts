import { ZerogError } from './errors.ts'

/** x^8 + x^4 + x^3 + x^2 + 1, of which 2 is a generator. */
export const GF256_POLYNOMIAL = 0x11d

const { exp, log } = powersOfTwo()

/** Product of two field elements (0 to 255). Twin of `GF256Lib.mul`. */
export function gfMul(a: number, b: number): number {
  if (a === 0 || b === 0) return 0
  return exp[(log[a] ?? 0) + (log[b] ?? 0)] ?? 0
}

/** Inverse of a field element other than 0. */
export function gfInv(a: number): number {
  if (a === 0) throw new ZerogError('ERASURE_INVALID', 'zero has no inverse')
  return exp[255 - (log[a] ?? 0)] ?? 0
}

/** exp[i] = 2^i for i < 510, so that a sum of two logarithms needs no reduction; log is its inverse on 1 to 255. */
function powersOfTwo(): { exp: Uint8Array; log: Uint8Array } {
  const exp = new Uint8Array(510)
  const log = new Uint8Array(256)
  let power = 1
  for (let i = 0; i < 255; i++) {
    exp[i] = power
    exp[i + 255] = power
    log[power] = i
    power <<= 1
    if (power > 255) power ^= GF256_POLYNOMIAL
  }
  return { exp, log }
}
