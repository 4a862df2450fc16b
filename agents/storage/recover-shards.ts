import { mkdir, readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import { SECTOR_BYTES } from '../../sdk/protocol/layout.ts'
import { fileBytes, removeShardFiles, shardPath, writeWhole } from './shard-files.ts'
import { readPieces, type ShardIntake } from './shard-intake.ts'
import { createShardHasher, levelsBytes } from './shard-levels.ts'
import type { ShardRecord, ShardRecords } from './shard-records.ts'

const SHARD_FILE = /^(\d{1,4})\.(shard|part|levels|heal|tmp|levels\.tmp)$/

export declare namespace recoverShards {
  type Options = { folder: string; hasher: Hasher; records: ShardRecords; intake: ShardIntake }
}

/**
 * Brings files and records into agreement after a crash at any line: partial shards stay resumable, finished ones are
 * recorded, torn ones are marked damaged, and what no record names is removed.
 */
export async function recoverShards({
  folder,
  hasher,
  records,
  intake,
}: recoverShards.Options): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  for (const record of records.list()) {
    if (record.state === 'partial') await recoverPartial(record)
    else await recoverComplete(record)
  }
  await removeOrphans(folder, records)

  async function recoverPartial(record: ShardRecord): Promise<void> {
    const present = await fileBytes(shardPath(folder, record, 'part'))
    if (present !== undefined) {
      if (present > record.bytes) await truncate(shardPath(folder, record, 'part'), record.bytes)
      if (present < record.bytes) intake.setOffset(record, present)
      // Arrived in full, but the process died before the check.
      else if (!(await intake.finish(record))) await forget(record)
      return
    }
    // Renamed, but not recorded: the bytes speak for themselves.
    if (await holdsRoot(record)) records.setChecked(record)
    else await forget(record)
  }

  async function recoverComplete(record: ShardRecord): Promise<void> {
    const whole = (await fileBytes(shardPath(folder, record, 'shard'))) === record.bytes
    if (!whole) records.setState(record, 'damaged')
    if (!whole || record.state === 'damaged') return
    const expected = levelsBytes(Math.log2(record.bytes / SECTOR_BYTES))
    const present = (await fileBytes(shardPath(folder, record, 'levels'))) ?? 0
    if (present !== expected && !(await holdsRoot(record))) records.setState(record, 'damaged')
  }

  /** Hashes the shard's file; when it has its root, the levels are written anew. */
  async function holdsRoot(record: ShardRecord): Promise<boolean> {
    const path = shardPath(folder, record, 'shard')
    if ((await fileBytes(path)) !== record.bytes) return false
    const hashed = createShardHasher(hasher, record.bytes)
    for await (const piece of readPieces(path, record.bytes)) hashed.push(piece)
    const { root, levels } = hashed.finish()
    if (toHex(root) !== record.root) return false
    if (levels.length > 0) await writeWhole(shardPath(folder, record, 'levels'), levels)
    return true
  }

  async function forget(record: ShardRecord): Promise<void> {
    records.remove(record)
    await removeShardFiles(folder, record)
  }
}

async function removeOrphans(folder: string, records: ShardRecords): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    // Only names of our own making are touched.
    if (!entry.isDirectory() || !/^\d{1,18}$/.test(entry.name)) continue
    const own = join(folder, entry.name)
    const names = await readdir(own)
    let kept = 0
    for (const name of names) {
      const match = SHARD_FILE.exec(name)
      const record = match && records.get({ txSeq: BigInt(entry.name), index: Number(match[1]) })
      const wanted = record && match[2] === (record.state === 'partial' ? 'part' : 'shard')
      if (!match || wanted || (record && match[2] === 'levels' && record.state !== 'partial')) kept++
      else await rm(join(own, name), { force: true })
    }
    if (kept === 0) await rm(own, { recursive: true, force: true })
  }
}
