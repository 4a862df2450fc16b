import { ZerogError } from './errors.ts'

/** Order of the scalar field of BLS12-381, whose elements blobs are made of. Twin of `ScalarLib`. */
export const FIELD_ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n

/** Whether the number is an element: below the order. */
export function isCanonical(a: bigint): boolean {
  return a >= 0n && a < FIELD_ORDER
}

/** a mod r, also of a negative number. */
export function reduce(a: bigint): bigint {
  const rest = a % FIELD_ORDER
  return rest < 0n ? rest + FIELD_ORDER : rest
}

/** a^exponent mod r. */
export function power(a: bigint, exponent: bigint): bigint {
  let product = 1n
  let base = reduce(a)
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) product = reduce(product * base)
    base = reduce(base * base)
  }
  return product
}

/** 1/a mod r. Throws RANGE_INVALID for zero. */
export function inverse(a: bigint): bigint {
  if (reduce(a) === 0n) throw new ZerogError('RANGE_INVALID', 'zero has no inverse')
  return power(a, FIELD_ORDER - 2n)
}

/** a^64 mod r. */
export function pow64(a: bigint): bigint {
  return power(a, 64n)
}

/** The inverse of every element, with one inversion for all. Throws RANGE_INVALID if one of them is zero. */
export function invertAll(elements: readonly bigint[]): bigint[] {
  const before: bigint[] = []
  let product = 1n
  for (const element of elements) {
    before.push(product)
    product = reduce(product * element)
  }
  let rest = inverse(product)
  const inverses = [...elements]
  for (let i = elements.length - 1; i >= 0; i--) {
    const element = elements[i] ?? 0n
    inverses[i] = reduce(rest * (before[i] ?? 0n))
    rest = reduce(rest * element)
  }
  return inverses
}

/**
 * Values of the polynomial at root^0, root^1, …: its coefficients, lowest first, go in. `root` is a root of unity of exactly as many powers
 * as there are coefficients, a power of two.
 */
export function fourier(coefficients: readonly bigint[], root: bigint): bigint[] {
  if (coefficients.length === 1) return [...coefficients]
  const squared = reduce(root * root)
  const even = fourier(
    coefficients.filter((_, i) => i % 2 === 0),
    squared,
  )
  const odd = fourier(
    coefficients.filter((_, i) => i % 2 === 1),
    squared,
  )
  const values = new Array<bigint>(coefficients.length)
  let turn = 1n
  even.forEach((low, i) => {
    const high = reduce(turn * (odd[i] ?? 0n))
    values[i] = reduce(low + high)
    values[i + even.length] = reduce(low - high)
    turn = reduce(turn * root)
  })
  return values
}

/** `bits` low bits of `index` in reverse order. */
export function reverseBits(index: number, bits: number): number {
  let reversed = 0
  for (let bit = 0; bit < bits; bit++) reversed |= ((index >> bit) & 1) << (bits - 1 - bit)
  return reversed
}
