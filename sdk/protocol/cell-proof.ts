import { pippenger } from '@noble/curves/abstract/curve.js'
import { bls12_381 as bls } from '@noble/curves/bls12-381.js'
import { COLUMNS, ELEMENT_BYTES, ELEMENTS_PER_CELL } from './cell-layout.ts'
import { toHex } from './hex.ts'
import { cosetFactor, ROOT_8192 } from './kzg-cell.ts'
import { areShaped, type CellClaims, type KzgEngine } from './kzg-engine.ts'
import { G1_POWERS, G2_POWER_64 } from './kzg-setup.ts'
import { fourier, inverse, isCanonical, pow64, power, reduce, reverseBits } from './scalar-field.ts'

/** The part of an engine that light clients need. */
export type CellVerifier = Pick<KzgEngine, 'name' | 'verifyCells'>

const G1 = bls.G1.Point
type G1Point = typeof G1.ZERO

/** Claims that share one pairing. Between batches the event loop gets its turn. */
const BATCH_CLAIMS = 64
const CELL_BITS = 6
/** The inverse of the 64th root of unity. */
const INVERSE_ROOT_64 = inverse(power(ROOT_8192, BigInt(COLUMNS)))
const INVERSE_64 = inverse(BigInt(ELEMENTS_PER_CELL))

/**
 * Checks cells in plain TypeScript, in a browser too: all claims of a batch at once, as a random linear combination of
 * e(C - [I(tau)]1 + h^64 pi, G2) = e(pi, [tau^64]2) (EIP-7594, verify_cell_kzg_proof_batch). Each batch draws its own weights of 128 secret
 * bits, so a batch with a wrong cell passes with probability 2^-127.
 */
export const cellVerifier: CellVerifier = {
  name: 'noble',
  async verifyCells(claims, signal) {
    signal?.throwIfAborted()
    if (!areShaped(claims)) return false
    const decode = pointDecoder()
    for (let start = 0; start < claims.cells.length; start += BATCH_CLAIMS) {
      if (start > 0) await new Promise<void>((resolve) => setTimeout(resolve))
      signal?.throwIfAborted()
      if (!isBatchValid(batchOf(claims, start), decode)) return false
    }
    return true
  },
}

type Decoder = (bytes: Uint8Array) => G1Point | undefined

function isBatchValid({ commitments, columns, cells, proofs }: CellClaims, decode: Decoder): boolean {
  const weights = randomWeights(cells.length)
  const commitmentWeights = new Map<G1Point, bigint>()
  const proofPoints: G1Point[] = []
  const sums = new Map<number, bigint[]>()
  for (const [i, weight] of weights.entries()) {
    const [commitment, proof, column] = [decode(at(commitments, i)), decode(at(proofs, i)), at(columns, i)]
    if (commitment === undefined || proof === undefined) return false
    commitmentWeights.set(commitment, reduce((commitmentWeights.get(commitment) ?? 0n) + weight))
    proofPoints.push(proof)
    const sum = sums.get(column) ?? new Array<bigint>(ELEMENTS_PER_CELL).fill(0n)
    if (!addCell(sum, at(cells, i), weight)) return false
    sums.set(column, sum)
  }
  const points = [...commitmentWeights.keys(), ...proofPoints, ...g1Powers()]
  const scalars = [
    ...commitmentWeights.values(),
    ...weights.map((weight, i) => reduce(weight * at(shiftPowers(), at(columns, i)))),
    ...interpolantOf(sums).map((coefficient) => reduce(-coefficient)),
  ]
  const left = pippenger(G1, points, scalars)
  const right = pippenger(G1, proofPoints, weights).negate()
  return isPairingOne([
    { g1: left, g2: bls.G2.Point.BASE },
    { g1: right, g2: g2Power() },
  ])
}

/** Adds `weight` times the elements of a cell to `sum`, in the order of the roots. False for an element that is not below the field order. */
function addCell(sum: bigint[], cell: Uint8Array, weight: bigint): boolean {
  for (let j = 0; j < ELEMENTS_PER_CELL; j++) {
    const element = BigInt(toHex(cell.subarray(j * ELEMENT_BYTES, (j + 1) * ELEMENT_BYTES)))
    if (!isCanonical(element)) return false
    const to = reverseBits(j, CELL_BITS)
    sum[to] = reduce(at(sum, to) + element * weight)
  }
  return true
}

/** Coefficients of the sum of all interpolants: those of a column are an inverse transform over 64 roots, scaled to its coset. */
function interpolantOf(sums: ReadonlyMap<number, readonly bigint[]>): bigint[] {
  const total = new Array<bigint>(ELEMENTS_PER_CELL).fill(0n)
  for (const [column, values] of sums) {
    const inverseFactor = inverse(cosetFactor(column))
    let scale = INVERSE_64
    fourier(values, INVERSE_ROOT_64).forEach((coefficient, t) => {
      total[t] = reduce(at(total, t) + coefficient * scale)
      scale = reduce(scale * inverseFactor)
    })
  }
  return total
}

/** Decodes compressed points with curve and subgroup checks, each once; undefined for what is none. */
function pointDecoder(): Decoder {
  const known = new Map<string, G1Point | undefined>()
  return (bytes) => {
    const key = toHex(bytes)
    if (known.has(key)) return known.get(key)
    const point = pointOf(bytes)
    known.set(key, point)
    return point
  }
}

function pointOf(bytes: Uint8Array): G1Point | undefined {
  try {
    // Decoding may write to its input.
    return G1.fromBytes(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}

function isPairingOne(pairs: readonly { g1: G1Point; g2: typeof bls.G2.Point.BASE }[]): boolean {
  // Infinity pairs to one, and the library refuses it.
  const finite = pairs.filter(({ g1 }) => !g1.is0())
  return finite.length === 0 || bls.fields.Fp12.eql(bls.pairingBatch([...finite]), bls.fields.Fp12.ONE)
}

let powers: readonly G1Point[] | undefined
function g1Powers(): readonly G1Point[] {
  powers ??= G1_POWERS.map((hex) => G1.fromHex(hex))
  return powers
}

let power64: typeof bls.G2.Point.BASE | undefined
function g2Power(): typeof bls.G2.Point.BASE {
  power64 ??= bls.G2.Point.fromHex(G2_POWER_64)
  return power64
}

let shifts: readonly bigint[] | undefined
/** h_k^64 of every column. */
function shiftPowers(): readonly bigint[] {
  shifts ??= Array.from({ length: COLUMNS }, (_, column) => pow64(cosetFactor(column)))
  return shifts
}

/** Numbers of 128 random bits, none zero. */
function randomWeights(count: number): bigint[] {
  const random = crypto.getRandomValues(new BigUint64Array(2 * count))
  return Array.from({ length: count }, (_, i) => (at(random, 2 * i) << 64n) | at(random, 2 * i + 1) | 1n)
}

function batchOf({ commitments, columns, cells, proofs }: CellClaims, start: number): CellClaims {
  const end = start + BATCH_CLAIMS
  return {
    commitments: commitments.slice(start, end),
    columns: columns.slice(start, end),
    cells: cells.slice(start, end),
    proofs: proofs.slice(start, end),
  }
}

/** The entry of a list whose length the caller has checked. */
function at<T>(list: ArrayLike<T>, index: number): T {
  const entry = list[index]
  if (entry === undefined) throw new RangeError(`no entry ${index}`)
  return entry
}
