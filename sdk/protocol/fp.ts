/** Modulus of the base field of BLS12-381, in which coordinates of points live. Twin of `FpLib`, where an element is two words. */
export const FP_ORDER =
  0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn

/** (p - 1) / 2. */
const HALF = (FP_ORDER - 1n) / 2n

/** Whether the number is an element: below p. */
export function isCanonical(a: bigint): boolean {
  return a >= 0n && a < FP_ORDER
}

/** Whether a canonical element is larger than its negative: the sign bit of compressed points. */
export function isLarger(a: bigint): boolean {
  return a > HALF
}

/** -a mod p. */
export function negate(a: bigint): bigint {
  return reduce(FP_ORDER - reduce(a))
}

/** a + small mod p. */
export function addSmall(a: bigint, small: bigint): bigint {
  return reduce(a + small)
}

/** a mod p of a number that is not negative. */
export function reduce(a: bigint): bigint {
  return a % FP_ORDER
}

/** a^2 mod p. */
export function square(a: bigint): bigint {
  return reduce(a * a)
}

/** x^3 + 4 mod p: the right side of the equation of G1. */
export function curveSide(x: bigint): bigint {
  return addSmall(reduce(square(x) * x), 4n)
}

/** Whether both coordinates are canonical and y^2 = x^3 + 4. Infinity is not on the curve by this check. */
export function isOnCurve(x: bigint, y: bigint): boolean {
  return isCanonical(x) && isCanonical(y) && square(y) === curveSide(x)
}

/** Whether some element squares to `a` (Euler's criterion); zero is a square. */
export function isSquare(a: bigint): boolean {
  return power(a, HALF) < 2n
}

/** The smaller-named root of a square: a^((p + 1) / 4), as p = 3 mod 4. Its square is `a` only if `a` is a square. */
export function squareRoot(a: bigint): bigint {
  return power(a, (FP_ORDER + 1n) / 4n)
}

function power(a: bigint, exponent: bigint): bigint {
  let product = 1n
  let base = reduce(a)
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) product = reduce(product * base)
    base = square(base)
  }
  return product
}
