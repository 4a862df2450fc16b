import { randomFillSync } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bestSeconds, MIB } from './bench-case.ts'

const FILES = 24
const FILE_BYTES = 16 * MIB
const PIECE_BYTES = MIB

/** Bytes that the disk takes in a second when each file is synced, as a provider writes shards. */
export async function diskBytesPerSec(folder: string): Promise<number> {
  const piece = randomFillSync(new Uint8Array(PIECE_BYTES))
  const pathOf = (file: number) => join(folder, `disk-${file}.bin`)
  const seconds = await bestSeconds(2, async () => {
    for (let file = 0; file < FILES; file++) {
      const handle = await open(pathOf(file), 'w')
      for (let at = 0; at < FILE_BYTES; at += PIECE_BYTES) await handle.write(piece, 0, PIECE_BYTES, at)
      await handle.sync()
      await handle.close()
    }
  })
  for (let file = 0; file < FILES; file++) await rm(pathOf(file), { force: true })
  return (FILES * FILE_BYTES) / seconds
}
