import { ZerogError } from './errors.ts'
import { gfInv, gfMul } from './gf256.ts'
import { MAX_DATA_SHARDS } from './layout.ts'

/** Most parity shards. */
export const MAX_PARITY_SHARDS = 64

/** d data shards (1 to 16) and m parity shards (1 to 64): shards 0 to d - 1 are data, d to d + m - 1 parity. */
export type ErasureCode = { d: number; m: number }

/** Rows of coefficients: output r = sum over i of rows[r][i] x input i. */
export type GfMatrix = readonly Uint8Array[]

/**
 * Entry of the parity matrix, 1 / ((16 + parity) xor data): Cauchy, hence any d of the n shards restore the file, and the same for every d,
 * as if absent data shards were zeros. Twin of `GF256Lib.coefficient`.
 */
export function parityCoefficient(parity: number, data: number): number {
  return gfInv((MAX_DATA_SHARDS + parity) ^ data)
}

/** The m x d matrix that makes parity from data. Throws ERASURE_INVALID outside the limits. */
export function parityMatrix({ d, m }: ErasureCode): GfMatrix {
  checkCode({ d, m })
  return Array.from({ length: m }, (_, parity) =>
    Uint8Array.from({ length: d }, (_, data) => parityCoefficient(parity, data)),
  )
}

/** The matrix that makes the `wanted` shards from the `present` ones: exactly d different shards. Throws ERASURE_INVALID. */
export function decodeMatrix(
  code: ErasureCode,
  { present, wanted }: { present: readonly number[]; wanted: readonly number[] },
): GfMatrix {
  checkCode(code)
  const shards = code.d + code.m
  if ([...present, ...wanted].some((i) => !Number.isInteger(i) || i < 0 || i >= shards)) {
    throw new ZerogError('ERASURE_INVALID', `shards are numbered 0 to ${shards - 1}`)
  }
  if (present.length !== code.d || new Set(present).size !== code.d) {
    throw new ZerogError('ERASURE_INVALID', `exactly ${code.d} different shards are needed`)
  }
  const fromPresent = invert(present.map((index) => generatorRow(code.d, index)))
  return wanted.map((index) => multiplyRow(generatorRow(code.d, index), fromPresent))
}

function checkCode({ d, m }: ErasureCode): void {
  const fits = (count: number, most: number) => Number.isInteger(count) && count >= 1 && count <= most
  if (!fits(d, MAX_DATA_SHARDS) || !fits(m, MAX_PARITY_SHARDS)) {
    throw new ZerogError('ERASURE_INVALID', `no code has ${d} data and ${m} parity shards`)
  }
}

/** What shard `index` is in terms of the data shards. */
function generatorRow(d: number, index: number): Uint8Array {
  return Uint8Array.from({ length: d }, (_, data) =>
    index < d ? Number(index === data) : parityCoefficient(index - d, data),
  )
}

function multiplyRow(row: Uint8Array, matrix: GfMatrix): Uint8Array {
  const product = new Uint8Array(matrix[0]?.length ?? 0)
  row.forEach((factor, i) => {
    addScaled(product, matrix[i] ?? product, factor)
  })
  return product
}

/** Gauss-Jordan elimination. Rows of the generator are always independent, so a pivot is always found. */
function invert(matrix: GfMatrix): Uint8Array[] {
  const size = matrix.length
  const rows = matrix.map((row, r) => {
    const wide = new Uint8Array(2 * size)
    wide.set(row)
    wide[size + r] = 1
    return wide
  })
  for (let column = 0; column < size; column++) {
    const pivot = rows.findIndex((row, r) => r >= column && row[column] !== 0)
    const found = rows[pivot]
    const other = rows[column]
    if (found === undefined || other === undefined)
      throw new ZerogError('ERASURE_INVALID', 'the matrix is singular')
    rows[pivot] = other
    const inverse = gfInv(found[column] ?? 0)
    const unit = found.map((value) => gfMul(value, inverse))
    rows[column] = unit
    rows.forEach((row, r) => {
      if (r !== column) addScaled(row, unit, row[column] ?? 0)
    })
  }
  return rows.map((row) => row.slice(size))
}

function addScaled(target: Uint8Array, row: Uint8Array, factor: number): void {
  if (factor === 0) return
  for (let i = 0; i < target.length; i++) target[i] = (target[i] ?? 0) ^ gfMul(row[i] ?? 0, factor)
}
