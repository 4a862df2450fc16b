import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { openStore, type Store } from '../../../agents/kernel/store.ts'
import { bodyPieces } from '../../../agents/storage/body-pieces.ts'
import { openFolderShards } from '../../../agents/storage/folder-shards.ts'
import { givePiece, takePiece } from '../../../agents/storage/piece-memory.ts'
import type { ShardKey, ShardStore, ShardWrite } from '../../../agents/storage/shard-store.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { SECTOR_BYTES } from '../../../sdk/protocol/layout.ts'
import { merkleRoot, verifyMerkleProof } from '../../../sdk/protocol/merkle.ts'
import { randomBytes } from '../../support/content.ts'
import { tempDir } from '../../support/temp-dir.ts'

const hasher = await loadHasher()
const key: ShardKey = { txSeq: 7n, index: 3 }
const MIB = 1024 * 1024
const stores: Store[] = []

after(() => {
  for (const store of stores) store.close()
})

type Opened = { shards: ShardStore; folder: string; dir: string; store: Store }

async function openShards(dir = tempDir(), capacityBytes = 64 * MIB): Promise<Opened> {
  const store = openStore(join(dir, 'storage.sqlite'))
  stores.push(store)
  const folder = join(dir, 'shards')
  return { shards: await openFolderShards({ folder, store, hasher, capacityBytes }), folder, dir, store }
}

/** Closes the database as a crash would leave it, and opens everything again. */
async function reopen({ store, dir }: Opened): Promise<Opened> {
  store.close()
  return openShards(dir)
}

async function* piecesOf(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const rootOf = (bytes: Uint8Array) => toHex(merkleRoot(hasher, bytes))

function chunkOf(
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
  change: Partial<ShardWrite> = {},
): ShardWrite {
  return {
    key,
    root: rootOf(bytes),
    bytes: bytes.length,
    owner: '0xowner',
    start,
    length: end - start,
    replace: true,
    body: piecesOf(bytes.subarray(start, end)),
    ...change,
  }
}

const codeOf =
  (code: string, meta: Record<string, unknown> = {}) =>
  (error: unknown) => {
    assert.ok(isZerogError(error), String(error))
    assert.equal(error.code, code)
    for (const [name, value] of Object.entries(meta)) assert.equal(error.meta[name], value)
    return true
  }

describe('shard store', () => {
  for (const sectors of [1, 2, 64, 512, 1024, 4096, 16_384]) {
    it(`default: ${sectors} sectors come back whole, in ranges and as chunks with proofs`, async () => {
      const { shards } = await openShards()
      const bytes = randomBytes(sectors * SECTOR_BYTES, sectors)
      const info = await shards.write(chunkOf(bytes))
      assert.equal(info.state, 'complete')
      assert.deepEqual(await shards.read(key, 0, bytes.length), bytes)
      const streamed = Buffer.concat(await (await shards.stream(key, 1, bytes.length - 1)).toArray())
      assert.ok(streamed.equals(bytes.subarray(1)))
      const shardHeight = Math.log2(sectors)
      const root = merkleRoot(hasher, bytes)
      for (let height = 0; height <= Math.min(shardHeight, 14); height++) {
        const index = Math.floor((sectors / 2 ** height) * 0.7)
        const { bytes: chunk, path } = await shards.chunk(key, height, index)
        const size = 2 ** height * SECTOR_BYTES
        assert.ok(Buffer.from(chunk).equals(bytes.subarray(index * size, (index + 1) * size)))
        assert.equal(path.length, shardHeight - height)
        assert.ok(verifyMerkleProof(hasher, { root, leaf: merkleRoot(hasher, chunk), index, path }))
      }
      assert.ok(await shards.verify(key, AbortSignal.timeout(60_000)))
    })
  }

  it('behavior: bodies that break off at odd places add up to the shard, byte for byte', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(4 * MIB, 77)
    const gone = (from: number, to: number) =>
      Readable.from([bytes.subarray(from, to), new Error('gone')]).map((part) => {
        if (part instanceof Error) throw part
        return part
      })
    const limits = { idleMs: 60_000, signal: new AbortController().signal }
    const started = Array.from({ length: 3 }, takePiece)
    for (const piece of started) givePiece(piece)
    // Whole pages, then some that begin within a page, then whole pages again.
    const ends = [0, 300_001, 1_000_000, 2 * MIB, bytes.length]
    for (const [i, end] of ends.entries()) {
      const start = shards.info(key)?.offset ?? 0
      const body = end < bytes.length ? gone(start, end) : Readable.from([bytes.subarray(start)])
      const writing = shards.write(chunkOf(bytes, start, bytes.length, { body: bodyPieces(body, limits) }))
      if (end < bytes.length) await assert.rejects(writing, codeOf('ABORTED'))
      else assert.equal((await writing).state, 'complete')
      assert.equal(shards.info(key)?.offset, ends[i])
    }
    assert.deepEqual(await shards.read(key, 0, bytes.length), bytes)
    // Their memory is free again: the same three pieces, the last given back first.
    for (const piece of started.reverse()) assert.equal(takePiece(), piece)
    for (const piece of started) givePiece(piece)
  })

  it('behavior: chunks of any size append, repeated ones are ignored, overlapping ones continue', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(2048 * SECTOR_BYTES, 1)
    assert.equal((await shards.write(chunkOf(bytes, 0, 1000))).offset, 1000)
    assert.equal((await shards.write(chunkOf(bytes, 0, 1000))).offset, 1000)
    assert.equal((await shards.write(chunkOf(bytes, 500, 300_001))).offset, 300_001)
    assert.equal(shards.info(key)?.state, 'partial')
    const done = await shards.write(chunkOf(bytes, 300_001))
    assert.equal(done.state, 'complete')
    assert.deepEqual(await shards.read(key, 0, bytes.length), bytes)
    assert.equal((await shards.write(chunkOf(bytes, 0, 1000))).state, 'complete')
  })

  it('behavior: pages and counts are of what is held, whatever else there is', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(SECTOR_BYTES, 3)
    const put = (txSeq: bigint, index: number, end = bytes.length) =>
      shards.write(chunkOf(bytes, 0, end, { key: { txSeq, index } }))
    for (const [txSeq, index] of [
      [9n, 0],
      [2n, 1],
      [2n, 0],
      [4n, 5],
    ] as const)
      await put(txSeq, index)
    await put(11n, 0, 100)
    const page = (from: bigint, count: number) =>
      shards.page(from, count).map(({ txSeq, index }) => `${txSeq}/${index}`)
    assert.deepEqual(page(0n, 2), ['2/0', '2/1', '4/5'])
    assert.deepEqual(page(4n, 9), ['4/5', '9/0', '11/0'])
    assert.deepEqual(shards.counts(), { partial: 1, complete: 4, damaged: 0 })
  })

  it('behavior: a shard that was hashed while the clock ran ahead is the next to be hashed', async (t) => {
    const { shards } = await openShards()
    const bytes = randomBytes(SECTOR_BYTES, 4)
    await shards.write(chunkOf(bytes, 0, bytes.length, { key: { txSeq: 1n, index: 0 } }))
    const aheadMs = Date.now() + 365 * 24 * 3_600_000
    const clock = t.mock.method(Date, 'now', () => aheadMs)
    await shards.write(chunkOf(bytes, 0, bytes.length, { key: { txSeq: 1n, index: 1 } }))
    clock.mock.restore()
    assert.deepEqual([shards.leastChecked()?.index, shards.leastChecked()?.checkedAtSec], [1, 0])
    await shards.verify({ txSeq: 1n, index: 1 }, AbortSignal.timeout(60_000))
    assert.equal(shards.leastChecked()?.checkedAtSec === 0, false)
  })

  it('behavior: two writers of one shard take turns', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(4096 * SECTOR_BYTES, 2)
    const half = bytes.length / 2
    const results = await Promise.all([
      shards.write(chunkOf(bytes, 0, half)),
      shards.write(chunkOf(bytes, half)),
      shards.write(chunkOf(bytes)),
    ])
    assert.deepEqual(
      results.map(({ state }) => state),
      ['partial', 'complete', 'complete'],
    )
    assert.deepEqual(await shards.read(key, 0, bytes.length), bytes)
  })

  it('error: a gap names the next byte', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(1024 * SECTOR_BYTES, 3)
    await assert.rejects(shards.write(chunkOf(bytes, 256)), codeOf('OFFSET_MISMATCH', { offset: 0 }))
    await shards.write(chunkOf(bytes, 0, 256))
    await assert.rejects(shards.write(chunkOf(bytes, 512)), codeOf('OFFSET_MISMATCH', { offset: 256 }))
  })

  it('error: bytes of another root are discarded, and the room is free again', async () => {
    const { shards, folder } = await openShards()
    const bytes = randomBytes(1024 * SECTOR_BYTES, 4)
    const wrong = chunkOf(bytes, 0, bytes.length, { root: rootOf(randomBytes(256, 9)) })
    await assert.rejects(shards.write(wrong), codeOf('ROOT_MISMATCH'))
    assert.equal(shards.info(key), undefined)
    assert.equal(shards.usedBytes(), 0)
    assert.deepEqual(readdirSync(folder), [])
  })

  it('error: over the capacity nothing begins; partial shards count in full', async () => {
    const { shards } = await openShards(tempDir(), 600_000)
    const bytes = randomBytes(2048 * SECTOR_BYTES, 5)
    await shards.write(chunkOf(bytes, 0, 256))
    assert.ok(shards.usedBytes() > bytes.length)
    const other = chunkOf(bytes, 0, 256, { key: { txSeq: 8n, index: 0 } })
    await assert.rejects(shards.write(other), codeOf('DISK_FULL'))
    assert.equal(shards.list().length, 1)
    await shards.remove(key)
    assert.equal(shards.usedBytes(), 0)
  })

  it('error: a disk without room ends in DISK_FULL, and the upload goes on when there is some', async () => {
    const { shards, folder } = await openShards()
    const bytes = randomBytes(1024 * SECTOR_BYTES, 19)
    const part = join(folder, '7', '3.part')
    mkdirSync(join(folder, '7'))
    // The kernel's own full device: every write to it fails with ENOSPC.
    symlinkSync('/dev/full', part)
    await assert.rejects(shards.write(chunkOf(bytes)), codeOf('DISK_FULL', { systemCode: 'ENOSPC' }))
    assert.equal(shards.info(key)?.offset, 0)
    rmSync(part)
    assert.equal((await shards.write(chunkOf(bytes))).state, 'complete')
  })

  it('error: a body longer or shorter than its range', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(1024 * SECTOR_BYTES, 6)
    const long = chunkOf(bytes, 0, 1000, { body: piecesOf(bytes.subarray(0, 1001), 100) })
    await assert.rejects(shards.write(long), codeOf('BAD_REQUEST'))
    const short = chunkOf(bytes, 0, 2000, { body: piecesOf(bytes.subarray(0, 1500), 100) })
    await assert.rejects(shards.write(short), codeOf('BAD_REQUEST'))
    assert.equal(shards.info(key)?.offset, 1500)
    assert.equal((await shards.write(chunkOf(bytes, 1500))).state, 'complete')
  })

  it('error: another root does not replace a promised shard', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(1024 * SECTOR_BYTES, 7)
    const other = randomBytes(1024 * SECTOR_BYTES, 8)
    await shards.write(chunkOf(bytes))
    await assert.rejects(shards.write({ ...chunkOf(other), replace: false }), codeOf('CUSTODY_REFUSED'))
    assert.deepEqual(await shards.read(key, 0, bytes.length), bytes)
    assert.equal((await shards.write(chunkOf(other))).state, 'complete')
    assert.deepEqual(await shards.read(key, 0, other.length), other)
  })

  it('error: ranges and chunks outside the shard', async () => {
    const { shards } = await openShards()
    const bytes = randomBytes(4 * SECTOR_BYTES, 10)
    await shards.write(chunkOf(bytes))
    await assert.rejects(shards.read(key, 0, bytes.length + 1), codeOf('RANGE_INVALID'))
    await assert.rejects(shards.chunk(key, 3, 0), codeOf('RANGE_INVALID'))
    await assert.rejects(shards.chunk(key, 0, 4), codeOf('RANGE_INVALID'))
    await assert.rejects(shards.chunk({ txSeq: 9n, index: 0 }, 0, 0), codeOf('SHARD_UNKNOWN'))
  })
})

describe('recoverShards', () => {
  it('behavior: a partial shard goes on where its file ends', async () => {
    const opened = await openShards()
    const bytes = randomBytes(2048 * SECTOR_BYTES, 11)
    await opened.shards.write(chunkOf(bytes, 0, 300_000))
    const { shards } = await reopen(opened)
    assert.equal(shards.info(key)?.offset, 300_000)
    assert.equal((await shards.write(chunkOf(bytes, 300_000))).state, 'complete')
  })

  it('behavior: bytes that a torn write changed end as a wrong root, never as a shard', async () => {
    const opened = await openShards()
    const bytes = randomBytes(2048 * SECTOR_BYTES, 12)
    await opened.shards.write(chunkOf(bytes, 0, 300_000))
    const file = await open(join(opened.folder, '7', '3.part'), 'r+')
    await file.write(new Uint8Array(4096), 0, 4096, 100_000)
    await file.close()
    const { shards } = await reopen(opened)
    await assert.rejects(shards.write(chunkOf(bytes, 300_000)), codeOf('ROOT_MISMATCH'))
    assert.equal(shards.info(key), undefined)
  })

  it('behavior: a shard that had arrived in full is finished', async () => {
    const opened = await openShards()
    const bytes = randomBytes(2048 * SECTOR_BYTES, 13)
    await opened.shards.write(chunkOf(bytes, 0, bytes.length - 1))
    const file = await open(join(opened.folder, '7', '3.part'), 'r+')
    await file.write(bytes.subarray(-1), 0, 1, bytes.length - 1)
    await file.close()
    const { shards } = await reopen(opened)
    assert.equal(shards.info(key)?.state, 'complete')
    assert.deepEqual(await shards.read(key, 0, bytes.length), bytes)
  })

  it('behavior: renamed but not recorded is recorded', async () => {
    const opened = await openShards()
    const bytes = randomBytes(2048 * SECTOR_BYTES, 14)
    await opened.shards.write(chunkOf(bytes))
    opened.store.run("UPDATE shard SET state = 'partial'")
    const { shards } = await reopen(opened)
    assert.equal(shards.info(key)?.state, 'complete')
    assert.ok((await shards.chunk(key, 0, 2047)).path.length === 11)
  })

  it('behavior: a truncated or missing shard is damaged, not served, and healed from its bytes', async () => {
    const opened = await openShards()
    const bytes = randomBytes(2048 * SECTOR_BYTES, 15)
    await opened.shards.write(chunkOf(bytes))
    truncateSync(join(opened.folder, '7', '3.shard'), 1000)
    const { shards, folder } = await reopen(opened)
    assert.equal(shards.info(key)?.state, 'damaged')
    await assert.rejects(shards.read(key, 0, 10), codeOf('SHARD_INCOMPLETE'))
    await assert.rejects(shards.heal(key, piecesOf(randomBytes(bytes.length, 99))), codeOf('ROOT_MISMATCH'))
    assert.equal(shards.info(key)?.state, 'damaged')
    await shards.heal(key, piecesOf(bytes))
    assert.deepEqual(await shards.read(key, 0, bytes.length), bytes)
    assert.deepEqual(readdirSync(join(folder, '7')).sort(), ['3.levels', '3.shard'])
  })

  it('behavior: missing levels are made anew', async () => {
    const opened = await openShards()
    const bytes = randomBytes(4096 * SECTOR_BYTES, 16)
    await opened.shards.write(chunkOf(bytes))
    truncateSync(join(opened.folder, '7', '3.levels'), 32)
    const { shards } = await reopen(opened)
    assert.equal((await shards.chunk(key, 0, 4095)).path.length, 12)
    assert.equal(statSync(join(opened.folder, '7', '3.levels')).size, 255 * 32)
  })

  it('behavior: files that no record names are removed, foreign ones are left alone', async () => {
    const opened = await openShards()
    const bytes = randomBytes(1024 * SECTOR_BYTES, 17)
    await opened.shards.write(chunkOf(bytes))
    mkdirSync(join(opened.folder, '9'))
    writeFileSync(join(opened.folder, '9', '0.part'), 'x')
    writeFileSync(join(opened.folder, '9', '0.shard'), 'x')
    mkdirSync(join(opened.folder, 'lost+found'))
    writeFileSync(join(opened.folder, 'lost+found', 'keep'), 'x')
    writeFileSync(join(opened.folder, '7', '3.heal'), 'x')
    writeFileSync(join(opened.folder, '7', '3.levels.tmp'), 'x')
    const { folder, shards } = await reopen(opened)
    assert.ok(!existsSync(join(folder, '9')))
    assert.ok(existsSync(join(folder, 'lost+found', 'keep')))
    assert.deepEqual(readdirSync(join(folder, '7')).sort(), ['3.levels', '3.shard'])
    assert.equal(shards.info(key)?.state, 'complete')
  })

  it('behavior: a flipped bit is found by the check, whatever the sizes say', async () => {
    const opened = await openShards()
    const bytes = randomBytes(2048 * SECTOR_BYTES, 18)
    await opened.shards.write(chunkOf(bytes))
    const path = join(opened.folder, '7', '3.shard')
    const file = await open(path, 'r+')
    await file.write(Uint8Array.of((bytes[400_000] ?? 0) ^ 1), 0, 1, 400_000)
    await file.close()
    assert.equal(await opened.shards.verify(key, AbortSignal.timeout(60_000)), false)
    assert.equal(opened.shards.info(key)?.state, 'damaged')
    renameSync(path, `${path}.gone`)
    await opened.shards.heal(key, piecesOf(bytes))
    assert.ok(await opened.shards.verify(key, AbortSignal.timeout(60_000)))
  })
})
