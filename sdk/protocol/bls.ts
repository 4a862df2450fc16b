import { expand_message_xmd } from '@noble/curves/abstract/hash-to-curve.js'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { ZerogError } from './errors.ts'
import * as fp from './fp.ts'
import { bytesEqual, toHex } from './hex.ts'

/**
 * Points of BLS12-381 and signatures over it, min-pk; twin of `BlsLib`. Points are uncompressed as in EIP-2537 (Fp 64 B big-endian,
 * G1 = x ‖ y, G2 = x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1, infinity all zeros); compressed they have 48 and 96 bytes.
 */
export const G1_BYTES = 128
export const G2_BYTES = 256
const FP_BYTES = 64
const COMPRESSED_G1_BYTES = 48
const COMPRESSED_G2_BYTES = 96

/** Domain of every signature of ours (the Ethereum ciphersuite); typed messages keep purposes apart. */
export const SIGNATURE_DOMAIN = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_'

const G1 = bls12_381.G1.Point
const G2 = bls12_381.G2.Point
const { Fp2 } = bls12_381.fields
type G1Point = InstanceType<typeof G1>
type G2Point = InstanceType<typeof G2>

const COMPRESSED = 0x80
const INFINITY = 0x40
const SIGN = 0x20

/** The generators, uncompressed. */
export const G1_GENERATOR: Uint8Array = g1ToBytes(G1.BASE)
export const G2_GENERATOR: Uint8Array = g2ToBytes(G2.BASE)

/** Whether all bytes of a point are zero. */
export function isInfinity(point: Uint8Array): boolean {
  return point.every((byte) => byte === 0)
}

/** Whether a G1 point is canonical and on the curve; infinity is not. */
export function isG1OnCurve(point: Uint8Array): boolean {
  const { x, y } = coordinates(point)
  return fp.isOnCurve(x, y)
}

/** Sum of two G1 points; the subgroup is not checked. Throws BAD_REQUEST for points that are not on the curve. */
export function g1Add(a: Uint8Array, b: Uint8Array): Uint8Array {
  return g1ToBytes(toG1(a).add(toG1(b)))
}

/** `scalar` times a G1 point; twin of `PrecompileLib.g1Mul`. Throws BAD_REQUEST for a point outside of the subgroup. */
export function g1Mul(point: Uint8Array, scalar: bigint): Uint8Array {
  return g1ToBytes(grouped(toG1(point)).multiplyUnsafe(scalar % G1.Fn.ORDER))
}

/** Sum of two G2 points; the subgroup is not checked. Throws BAD_REQUEST for points that are not on the curve. */
export function g2Add(a: Uint8Array, b: Uint8Array): Uint8Array {
  return g2ToBytes(toG2(a).add(toG2(b)))
}

/** The negative of a canonical G1 point. */
export function g1Negate(point: Uint8Array): Uint8Array {
  const { x, y } = coordinates(point)
  return join([fpBytes(x), fpBytes(fp.negate(y))])
}

/** The 48 bytes of a canonical G1 point: x with the flags compressed, infinity, larger y in its first bits. */
export function g1Compress(point: Uint8Array): Uint8Array {
  const { x, y } = coordinates(point)
  const compressed = fpBytes(x).slice(FP_BYTES - COMPRESSED_G1_BYTES)
  const flags = COMPRESSED | (x === 0n && y === 0n ? INFINITY : 0) | (fp.isLarger(y) ? SIGN : 0)
  compressed[0] = (compressed[0] ?? 0) | flags
  return compressed
}

/** The point that `compressed` stands for, given its y (64 B), which is checked and not computed. Throws BAD_REQUEST when it is another. */
export function g1Decompress(compressed: Uint8Array, y: Uint8Array): Uint8Array {
  const { first, x } = compressedParts(compressed)
  expectLength(y, FP_BYTES)
  const point = join([fpBytes(x), y])
  if ((first & INFINITY) === 0 && !isG1OnCurve(point)) throw badPoint('not on the curve')
  if (!bytesEqual(g1Compress(point), compressed)) throw badPoint('another y')
  return point
}

/** Whether 48 bytes are a well-formed encoding: flags as they must be and x below p. */
export function isCanonicalCompressed(compressed: Uint8Array): boolean {
  const { first, x } = compressedParts(compressed)
  if ((first & COMPRESSED) === 0) return false
  if ((first & INFINITY) !== 0) return (first & SIGN) === 0 && x === 0n
  return fp.isCanonical(x)
}

/** Whether some point has the x of this well-formed encoding. */
export function hasPoint(compressed: Uint8Array): boolean {
  const { first, x } = compressedParts(compressed)
  return (first & INFINITY) !== 0 || fp.isSquare(fp.curveSide(x))
}

/** Whether a G1 point, canonical and on the curve, is in the subgroup. */
export function isInG1Subgroup(point: Uint8Array): boolean {
  return toG1(point).isTorsionFree()
}

/** hash_to_curve of RFC 9380, suite BLS12381G2_XMD:SHA-256_SSWU_RO_; `domain` defaults to ours. */
export function hashToG2(message: Uint8Array, domain: string = SIGNATURE_DOMAIN): Uint8Array {
  return g2ToBytes(bls12_381.G2.hashToCurve(message, { DST: domain }))
}

/** expand_message_xmd of RFC 9380 with SHA-256, for the 256 bytes that a point of G2 takes. */
export function expandMessage(message: Uint8Array, domain: string): Uint8Array {
  return expand_message_xmd(message, domain, G2_BYTES, sha256)
}

/** Whether e(a, b) = e(c, d), for a and c in G1, b and d in G2. Throws BAD_REQUEST for points outside of the subgroups. */
export function pairingsEqual(a: Uint8Array, b: Uint8Array, c: Uint8Array, d: Uint8Array): boolean {
  const pairs = [
    { g1: grouped(toG1(a)), g2: grouped(toG2(b)) },
    { g1: grouped(toG1(c)).negate(), g2: grouped(toG2(d)) },
  ].filter(({ g1, g2 }) => !g1.is0() && !g2.is0())
  return bls12_381.fields.Fp12.eql(bls12_381.pairingBatch(pairs), bls12_381.fields.Fp12.ONE)
}

/**
 * Whether `signature` is one of `publicKey` over the 32-byte `message`. Throws BAD_REQUEST for malformed points, points outside of the
 * subgroups, and infinity as key.
 */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  expectLength(publicKey, G1_BYTES)
  if (isInfinity(publicKey)) throw badPoint('infinity is no key')
  return pairingsEqual(publicKey, hashToG2(message), G1_GENERATOR, signature)
}

/** Uncompressed form of a compressed G1 point, e.g. of a public key. Throws BAD_REQUEST unless it is in the subgroup. */
export function g1Uncompress(compressed: Uint8Array): Uint8Array {
  expectLength(compressed, COMPRESSED_G1_BYTES)
  return g1ToBytes(grouped(parsed(() => G1.fromBytes(compressed))))
}

/** Uncompressed form of a compressed G2 point, e.g. of a signature. Throws BAD_REQUEST unless it is in the subgroup. */
export function g2Uncompress(compressed: Uint8Array): Uint8Array {
  expectLength(compressed, COMPRESSED_G2_BYTES)
  return g2ToBytes(grouped(parsed(() => G2.fromBytes(compressed))))
}

/** The 96 bytes of a G2 point. Throws BAD_REQUEST for a point that is not on the curve. */
export function g2Compress(point: Uint8Array): Uint8Array {
  return toG2(point).toBytes(true)
}

/** y (64 B) of a compressed G1 point on the curve, whether in the subgroup or not; zero for infinity. Throws BAD_REQUEST if there is none. */
export function g1YOf(compressed: Uint8Array): Uint8Array {
  if (!isCanonicalCompressed(compressed) || !hasPoint(compressed)) throw badPoint('no point has this x')
  const { first, x } = compressedParts(compressed)
  if ((first & INFINITY) !== 0) return new Uint8Array(FP_BYTES)
  const root = fp.squareRoot(fp.curveSide(x))
  return fpBytes(fp.isLarger(root) === ((first & SIGN) !== 0) ? root : fp.negate(root))
}

function toG1(point: Uint8Array): G1Point {
  const { x, y } = coordinates(point)
  if (x === 0n && y === 0n) return G1.ZERO
  if (!fp.isOnCurve(x, y)) throw badPoint('not on the curve')
  return G1.fromAffine({ x, y })
}

function toG2(point: Uint8Array): G2Point {
  expectLength(point, G2_BYTES)
  if (isInfinity(point)) return G2.ZERO
  const [c0 = 0n, c1 = 0n, d0 = 0n, d1 = 0n] = Array.from({ length: 4 }, (_, i) =>
    numberOf(point.subarray(i * FP_BYTES, (i + 1) * FP_BYTES)),
  )
  return parsed(() => {
    const affine = G2.fromAffine({ x: Fp2.create({ c0, c1 }), y: Fp2.create({ c0: d0, c1: d1 }) })
    if (![c0, c1, d0, d1].every(fp.isCanonical)) throw badPoint('not canonical')
    const { x, y } = affine.toAffine()
    const b = Fp2.create({ c0: 4n, c1: 4n })
    if (!Fp2.eql(Fp2.sqr(y), Fp2.add(Fp2.mul(Fp2.sqr(x), x), b))) throw badPoint('not on the curve')
    return affine
  })
}

function g1ToBytes(point: G1Point): Uint8Array {
  if (point.is0()) return new Uint8Array(G1_BYTES)
  const { x, y } = point.toAffine()
  return join([fpBytes(x), fpBytes(y)])
}

function g2ToBytes(point: G2Point): Uint8Array {
  if (point.is0()) return new Uint8Array(G2_BYTES)
  const { x, y } = point.toAffine()
  return join([x.c0, x.c1, y.c0, y.c1].map(fpBytes))
}

/** The point, once it is known to be in its subgroup. */
function grouped<P extends { isTorsionFree(): boolean }>(point: P): P {
  if (!point.isTorsionFree()) throw badPoint('outside of the subgroup')
  return point
}

/** What a parser of the library gives, its refusal as ours. */
function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', 'these bytes are no point of the curve', { cause })
  }
}

function coordinates(point: Uint8Array): { x: bigint; y: bigint } {
  expectLength(point, G1_BYTES)
  return { x: numberOf(point.subarray(0, FP_BYTES)), y: numberOf(point.subarray(FP_BYTES)) }
}

function compressedParts(compressed: Uint8Array): { first: number; x: bigint } {
  expectLength(compressed, COMPRESSED_G1_BYTES)
  const bare = compressed.slice()
  const first = compressed[0] ?? 0
  bare[0] = first & 0x1f
  return { first, x: numberOf(bare) }
}

function fpBytes(a: bigint): Uint8Array {
  const bytes = new Uint8Array(FP_BYTES)
  let rest = a
  for (let i = FP_BYTES - 1; rest > 0n; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
  return bytes
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(toHex(bytes))
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

function expectLength(bytes: Uint8Array, byteLength: number): void {
  if (bytes.length !== byteLength) throw badPoint(`${bytes.length} bytes, not ${byteLength}`)
}

function badPoint(reason: string): ZerogError {
  return new ZerogError('BAD_REQUEST', `these bytes are no such point: ${reason}`)
}
