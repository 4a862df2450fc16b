import type { Submitted } from './da-blobs.ts'
import type { DaSystem } from './da-fixture.ts'
import { currentPeriod, enterPeriod } from './storage-fixture.ts'

/** Where a draw fell. */
export type DaPlace = { blob: Submitted; entryIndex: bigint; blobIndex: number; column: number }

/** A draw of an opened period, found; `holder` attested its column, or would have. */
export type DaDraw = DaPlace & { period: bigint; draw: bigint; holder: string }

/** Finds a draw on one of `blobs`; undefined when it fell elsewhere. */
export async function locateDaDraw(
  { prover, da }: DaSystem,
  blobs: readonly Submitted[],
  { period, draw }: { period: bigint; draw: bigint },
): Promise<DaPlace | undefined> {
  const position = await prover.drawPosition(period, draw)
  const count = await prover.entryCount()
  for (let entryIndex = count - 1n; entryIndex >= 0n; entryIndex--) {
    const { start, cells, blobNumber } = await prover.entry(entryIndex)
    if (position < start || position >= start + cells) continue
    const blobId = await da.blobAt(blobNumber)
    const blob = blobs.find((known) => known.blobId === blobId)
    if (blob === undefined) return undefined
    const offset = Number(position - start)
    const { blobCount } = blob.header
    return { blob, entryIndex, blobIndex: offset % blobCount, column: Math.floor(offset / blobCount) }
  }
  return undefined
}

/** Enters the next period, opens its round and finds its draws on `blobs`. */
export async function openNextDaRound(
  system: DaSystem,
  blobs: readonly Submitted[],
): Promise<{ period: bigint; draws: DaDraw[] }> {
  const period = (await currentPeriod(system)) + 1n
  await enterPeriod(system, period)
  await system.prover.connect(system.reporter).openRound(period, '0x')
  return { period, draws: await daDrawsOf(system, blobs, period) }
}

/** Draws of an opened period that fell on `blobs`. */
export async function daDrawsOf(
  system: DaSystem,
  blobs: readonly Submitted[],
  period: bigint,
): Promise<DaDraw[]> {
  const { draws } = await system.prover.round(period)
  const found: DaDraw[] = []
  for (let draw = 0n; draw < draws; draw++) {
    const place = await locateDaDraw(system, blobs, { period, draw })
    if (place === undefined) continue
    const holder = await system.committee.ownerOf(place.blob.header.epoch, place.column)
    found.push({ ...place, period, draw, holder })
  }
  return found
}
