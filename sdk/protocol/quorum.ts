import { COLUMNS, DATA_COLUMNS } from './cell-layout.ts'

/** How many columns must be attested, and how many of them may then be in bad hands. */
export type Quorum = { readonly columns: number; readonly adversary: number }

/** The quorums of a network, as `DataAvailability` has them. */
export type Quorums = { readonly soft: Quorum; readonly final: Quorum }

/** How far an attestation reaches. */
export type QuorumLevel = 'none' | 'soft' | 'final'

/**
 * Whether a quorum means that the data is there: what is left of it without the adversary's columns restores every blob. The
 * disperser may be the adversary's and choose whom it serves, so nobody outside the quorum counts.
 */
export function isSafeQuorum({ columns, adversary }: Quorum): boolean {
  return adversary >= 0 && columns <= COLUMNS && columns >= adversary + DATA_COLUMNS
}

/** Whether quorums may be deployed: both safe, and FINAL no easier than SOFT. */
export function areSafeQuorums({ soft, final }: Quorums): boolean {
  return isSafeQuorum(soft) && isSafeQuorum(final) && soft.columns <= final.columns
}

/** The level that an attestation by the holders of `columns` (bit k: column k) reaches. */
export function quorumLevel(columns: bigint, { soft, final }: Quorums): QuorumLevel {
  const count = columnCount(columns)
  if (count >= final.columns) return 'final'
  return count >= soft.columns ? 'soft' : 'none'
}

/** How many columns a bitmap names. */
export function columnCount(columns: bigint): number {
  let count = 0
  for (let rest = BigInt.asUintN(COLUMNS, columns); rest !== 0n; rest &= rest - 1n) count++
  return count
}

/**
 * The most columns that the members at `adversaries` (indices in `weights`) can hold, whatever the seed: each gets its quota rounded up
 * at most, and everybody else its quota rounded down at least.
 */
export function mostColumns(weights: readonly bigint[], adversaries: ReadonlySet<number>): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0n)
  let roundedUp = 0n
  let leftOver = BigInt(COLUMNS)
  for (const [index, weight] of weights.entries()) {
    const quota = weight * BigInt(COLUMNS)
    if (adversaries.has(index)) roundedUp += (quota + total - 1n) / total
    else leftOver -= quota / total
  }
  return Number(roundedUp < leftOver ? roundedUp : leftOver)
}
