import { concat, getBytes, id, keccak256, toBeHex, zeroPadValue } from 'ethers'
import {
  G1_GENERATOR,
  G2_GENERATOR,
  g1Add,
  g1Compress,
  g1Decompress,
  g1Mul,
  g1Negate,
  g1Uncompress,
  g1YOf,
  g2Uncompress,
  pairingsEqual,
} from './bls.ts'
import {
  BLOB_BYTES,
  CELL_BYTES,
  COLUMNS,
  ELEMENT_BYTES,
  ELEMENTS_PER_CELL,
  FIELD_ELEMENTS_PER_BLOB,
} from './cell-layout.ts'
import { ZerogError } from './errors.ts'
import { bytesEqual, fromHex, toHex } from './hex.ts'
import type { KzgEngine } from './kzg-engine.ts'
import { G2_POWER_64 } from './kzg-setup.ts'
import {
  FIELD_ORDER,
  fourier,
  inverse,
  invertAll,
  isCanonical,
  pow64,
  power,
  reduce,
  reverseBits,
} from './scalar-field.ts'

/** 7^((r - 1) / 8192): the root of unity over whose powers an extended blob is spread (EIP-7594). */
export const ROOT_8192 = 0x485d512737b1da3d2ccddea2972e89ed146b58bc434906ac6fdd00bfc78c8967n

/** [tau]2 of the public trusted setup, compressed. */
const G2_POWER_1 =
  '0xb5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72185cbfee53492714734429b7b38608e23926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2'

/** log2 of the columns, of the elements of a cell, of the elements of a blob. */
const COLUMN_BITS = 7
const CELL_BITS = 6
const BLOB_BITS = 12

/** Keeps challenge points apart from every other hash. */
const CHALLENGE_TAG = id('ZeroG cell opening')

/** A published cell with its place, its proof (48 B) and the commitment (48 B) that it should fit. */
export type PublishedCell = {
  readonly blobId: string
  readonly blobIndex: number
  readonly column: number
  readonly cell: Uint8Array
  readonly proof: Uint8Array
  readonly commitment: Uint8Array
}

/** What the court takes to decide whether a cell fits: y of both points (64 B), R (128 B), W (48 B). Twin of `DaCellEvidence`. */
export type CellEvidence = {
  readonly commitmentY: Uint8Array
  readonly proofY: Uint8Array
  readonly interpolant: Uint8Array
  readonly opening: Uint8Array
}

/** h_k = w_8192^rev7(k): where the column's points begin; twin of `KzgLib.cosetFactor`. Throws RANGE_INVALID. */
export function cosetFactor(column: number): bigint {
  if (!Number.isInteger(column) || column < 0 || column >= COLUMNS)
    throw new ZerogError('RANGE_INVALID', 'no such column', { meta: { column } })
  return power(ROOT_8192, BigInt(reverseBits(column, COLUMN_BITS)))
}

/** h_k^64; twin of `KzgLib.cosetPower`. */
export function cosetPower(column: number): bigint {
  return pow64(cosetFactor(column))
}

/** The 64 points of a column in the order of its cells' elements; twin of `KzgLib.cellPoints`. */
export function cellPoints(column: number): bigint[] {
  const factor = cosetFactor(column)
  const root = power(ROOT_8192, BigInt(COLUMNS))
  return Array.from({ length: ELEMENTS_PER_CELL }, (_, j) =>
    reduce(factor * power(root, BigInt(reverseBits(j, CELL_BITS)))),
  )
}

/**
 * The value at z of the polynomial of degree below 64 through the cell; twin of `KzgLib.evaluateCell`. Throws DA_CELL_INVALID for a wrong
 * length or an element that is no canonical scalar (`meta.element`).
 */
export function evaluateCell(cell: Uint8Array, column: number, z: bigint): bigint {
  const elements = cellElements(cell)
  const points = cellPoints(column)
  const hit = points.indexOf(reduce(z))
  if (hit >= 0) return elements[hit] ?? 0n
  const inverses = invertAll(points.map((point) => reduce(z - point)))
  const sum = points.reduce(
    (total, point, j) => reduce(total + reduce((elements[j] ?? 0n) * point) * (inverses[j] ?? 0n)),
    0n,
  )
  const coset = cosetPower(column)
  return reduce(reduce(sum * reduce(pow64(z) - coset)) * inverse(64n * coset))
}

/** The point at which R must open: a hash of everything but the opening; twin of `KzgLib.challengePoint`. `interpolant` is compressed. */
export function challengePoint(claim: PublishedCell, interpolant: Uint8Array): bigint {
  const word = (value: number) => zeroPadValue(toBeHex(value), 32)
  const hash = keccak256(
    concat([
      CHALLENGE_TAG,
      claim.blobId,
      word(claim.blobIndex),
      word(claim.column),
      claim.commitment,
      claim.proof,
      interpolant,
      keccak256(claim.cell),
    ]),
  )
  return BigInt(hash) % FIELD_ORDER
}

/** The polynomial of degree below 64 through the cell as a KZG blob: its values at the 4096 points of one, bit-reversed (EIP-4844). */
export function interpolantBlob(cell: Uint8Array, column: number): Uint8Array {
  const elements = cellElements(cell)
  const root = power(ROOT_8192, BigInt(COLUMNS))
  const natural = elements.map((_, j) => elements[reverseBits(j, CELL_BITS)] ?? 0n)
  const scale = inverse(BigInt(ELEMENTS_PER_CELL))
  const shrink = inverse(cosetFactor(column))
  // Values on the coset h * w^i give the coefficients of p(h * X): each is divided by its power of h.
  let factor = scale
  const coefficients = fourier(natural, inverse(root)).map((value) => {
    const coefficient = reduce(value * factor)
    factor = reduce(factor * shrink)
    return coefficient
  })
  const padded = Array.from({ length: FIELD_ELEMENTS_PER_BLOB }, (_, i) => coefficients[i] ?? 0n)
  const values = fourier(padded, reduce(ROOT_8192 * ROOT_8192))
  const blob = new Uint8Array(BLOB_BYTES)
  for (let i = 0; i < FIELD_ELEMENTS_PER_BLOB; i++)
    blob.set(elementBytes(values[reverseBits(i, BLOB_BITS)] ?? 0n), i * ELEMENT_BYTES)
  return blob
}

/**
 * What shows the court whether a published cell fits its commitment; anyone with the cell alone can make it. Throws DA_CELL_INVALID where the
 * cell needs no such evidence (an element that is no scalar), and BAD_REQUEST where a point has no y.
 */
export async function cellEvidence(
  engine: KzgEngine,
  claim: PublishedCell,
  signal?: AbortSignal,
): Promise<CellEvidence> {
  const blob = interpolantBlob(claim.cell, claim.column)
  const compressed = await engine.commit(blob, signal)
  const z = challengePoint(claim, compressed)
  const { proof, y } = await engine.open(blob, elementBytes(z), signal)
  if (!bytesEqual(y, elementBytes(evaluateCell(claim.cell, claim.column, z))))
    throw new ZerogError('INTERNAL', 'the KZG engine opened another polynomial')
  return {
    commitmentY: g1YOf(claim.commitment),
    proofY: g1YOf(claim.proof),
    interpolant: g1Uncompress(compressed),
    opening: proof,
  }
}

/**
 * Whether a published cell fits its commitment, judged as the court does; twin of `KzgLib.fits`. Throws where the evidence decides nothing:
 * BAD_REQUEST for points and openings that do not hold, DA_CELL_INVALID for a malformed cell.
 */
export function fits(claim: PublishedCell, evidence: CellEvidence): boolean {
  const commitment = g1Decompress(claim.commitment, evidence.commitmentY)
  const proof = g1Decompress(claim.proof, evidence.proofY)
  const z = challengePoint(claim, compressedInterpolant(evidence))
  const y = evaluateCell(claim.cell, claim.column, z)
  if (!opensTo(evidence.interpolant, { z, y, opening: g1Uncompress(evidence.opening) }))
    throw new ZerogError('BAD_REQUEST', 'the opening does not hold: the evidence decides nothing')
  const scaled = g1Mul(proof, cosetPower(claim.column))
  const sum = g1Add(scaled, g1Add(commitment, g1Negate(evidence.interpolant)))
  return pairingsEqual(sum, G2_GENERATOR, proof, g2Uncompress(fromHex(`0x${G2_POWER_64}`)))
}

/** Whether the polynomial behind `commitment` is `y` at `z`: e(C - y G1 + z W, G2) = e(W, [tau]2). */
function opensTo(
  commitment: Uint8Array,
  { z, y, opening }: { z: bigint; y: bigint; opening: Uint8Array },
): boolean {
  const rest = g1Add(commitment, g1Negate(g1Mul(G1_GENERATOR, y)))
  return pairingsEqual(
    g1Add(rest, g1Mul(opening, z)),
    G2_GENERATOR,
    opening,
    g2Uncompress(fromHex(G2_POWER_1)),
  )
}

/** R of the evidence, compressed as the engines have it. */
export function compressedInterpolant({ interpolant }: CellEvidence): Uint8Array {
  return g1Compress(interpolant)
}

/** The first element of a cell that is no canonical scalar; undefined if all are. */
export function badElementOf(cell: Uint8Array): number | undefined {
  const index = rawElements(cell).findIndex((element) => !isCanonical(element))
  return index < 0 ? undefined : index
}

function cellElements(cell: Uint8Array): bigint[] {
  const element = badElementOf(cell)
  if (element !== undefined)
    throw new ZerogError('DA_CELL_INVALID', 'an element of the cell is no canonical scalar', {
      meta: { element },
    })
  return rawElements(cell)
}

function rawElements(cell: Uint8Array): bigint[] {
  if (cell.length !== CELL_BYTES) throw new ZerogError('DA_CELL_INVALID', `a cell has ${CELL_BYTES} bytes`)
  return Array.from({ length: ELEMENTS_PER_CELL }, (_, j) =>
    BigInt(toHex(cell.subarray(j * ELEMENT_BYTES, (j + 1) * ELEMENT_BYTES))),
  )
}

function elementBytes(element: bigint): Uint8Array {
  return getBytes(toBeHex(element, ELEMENT_BYTES))
}
