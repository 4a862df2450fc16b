import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { fileLayout } from '../../../sdk/protocol/layout.ts'
import { createRootBuilder } from '../../../sdk/protocol/root-builder.ts'
import { type BenchCase, bestSeconds, MIB, shortNumber } from './bench-case.ts'

const FILE_BYTES = 64 * MIB
const PIECE_BYTES = MIB
const TARGET = 10

/** Root of the same 64 MiB on one core: ours, piece by piece as from a disk, against the public SDK's, both from memory. */
export async function benchRoot({
  root: checkout,
  folder,
}: {
  root: string
  folder: string
}): Promise<BenchCase> {
  const bytes = randomFillSync(new Uint8Array(FILE_BYTES))
  const path = join(folder, 'root.bin')
  await writeFile(path, bytes)
  const hasher = await loadHasher()
  const { paddedSectors } = fileLayout(FILE_BYTES)
  let own = ''
  const ownSec = await bestSeconds(3, async () => {
    const builder = createRootBuilder(hasher, { sectors: paddedSectors })
    const source = bytesSource(bytes)
    for (let at = 0; at < FILE_BYTES; at += PIECE_BYTES) builder.push(await source.read(at, PIECE_BYTES))
    own = toHex(builder.root())
  })
  const script = join(checkout, 'test/clients/public-root-time.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [script, path])
  const other = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { root: string; seconds: number }
  if (own !== other.root) throw new Error(`roots differ: ${own} and ${other.root}`)
  const figure = other.seconds / ownSec
  return {
    name: 'Merkle root of 64 MiB, one core',
    measured: `${shortNumber(FILE_BYTES / MIB / ownSec)} MiB/s (${hasher.name})`,
    reference: `${shortNumber(FILE_BYTES / MIB / other.seconds)} MiB/s (public SDK 1.2.8)`,
    figure,
    unit: 'x',
    target: `>= ${TARGET} x`,
    isReached: figure >= TARGET,
    details: { ownSeconds: ownSec, publicSeconds: other.seconds, root: own },
  }
}
