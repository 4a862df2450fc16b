import assert from 'node:assert/strict'
import { appendFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { blobSource, bytesSource } from '../../../sdk/client/file-source.ts'
import { openPathSource } from '../../../sdk/client/file-source-node.ts'
import { prepareFile } from '../../../sdk/client/prepare.ts'
import { createHashPool } from '../../../sdk/client/prepare-pool-node.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { fileTreeOf, submissionDigest } from '../../../sdk/protocol/submission.ts'
import { at, randomBytes } from '../../support/content.ts'
import { shardFile } from '../../support/sharded-file.ts'
import { tempDir } from '../../support/temp-dir.ts'

const SIZES = [1, 255, 256, 257, 4095, 4097, 65_536, 262_143, 262_145, 1_048_577, 5_000_001]

function fileOf(bytes: Uint8Array): string {
  const path = join(tempDir(), 'file')
  writeFileSync(path, bytes)
  return path
}

describe('prepareFile', () => {
  for (const byteLength of SIZES) {
    it(`computes root, submission and shard roots of ${byteLength} bytes as the reference does`, async () => {
      const bytes = randomBytes(byteLength, byteLength)
      for (const parityShards of [4, 8]) {
        const expected = shardFile(bytes, parityShards)
        const prepared = await prepareFile({ source: bytesSource(bytes), parityShards })
        const tree = fileTreeOf(await loadHasher(), bytes)
        assert.equal(prepared.root, tree.root)
        assert.deepEqual(prepared.submission, tree.submission)
        assert.deepEqual(prepared.shardRoots, expected.shardRoots)
        assert.equal(prepared.digest, submissionDigest(tree.submission))
      }
    })
  }

  it('gives the same over threads, from a file and from a Blob', async () => {
    const bytes = randomBytes(9_000_000, 7)
    const expected = await prepareFile({ source: bytesSource(bytes), parityShards: 8 })
    const source = await openPathSource(fileOf(bytes))
    const pool = createHashPool(source, { threads: 3 })
    assert.deepEqual(await prepareFile({ source, parityShards: 8, pool }), expected)
    await pool.close()
    await source.close()
    const blob = new Blob([new Uint8Array(bytes)])
    assert.deepEqual(await prepareFile({ source: blobSource(blob), parityShards: 8 }), expected)
  })

  it('reports progress that grows to the whole', async () => {
    const seen: number[] = []
    const bytes = randomBytes(3_000_000, 1)
    await prepareFile({
      source: bytesSource(bytes),
      parityShards: 4,
      onProgress: ({ doneBytes, totalBytes }) => {
        assert.equal(totalBytes, bytes.length)
        seen.push(doneBytes)
      },
    })
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    )
    assert.equal(seen.at(-1), bytes.length)
  })

  it('error: an empty file', async () => {
    await assert.rejects(prepareFile({ source: bytesSource(new Uint8Array()), parityShards: 8 }), {
      code: 'EMPTY_FILE',
    })
  })

  for (const [what, change] of [
    ['grows', (path: string) => appendFileSync(path, 'x')],
    ['shrinks', (path: string) => writeFileSync(path, 'short')],
    ['is touched', (path: string) => utimesSync(path, new Date(), new Date(Date.now() + 10_000))],
  ] as const) {
    it(`error: a file that ${what} while it is read`, async () => {
      const path = fileOf(randomBytes(6_000_000, 2))
      const source = await openPathSource(path)
      const pool = createHashPool(source, { threads: 1 })
      let isChanged = false
      const preparing = prepareFile({
        source,
        parityShards: 4,
        pool,
        onProgress() {
          if (!isChanged) change(path)
          isChanged = true
        },
      })
      await assert.rejects(preparing, { code: 'FILE_CHANGED' })
      await pool.close()
      await source.close()
    })
  }

  it('error: an abort, at once and between two runs', async () => {
    const source = bytesSource(randomBytes(20_000_000, 3))
    await assert.rejects(prepareFile({ source, parityShards: 4, signal: AbortSignal.abort() }), {
      code: 'ABORTED',
    })
    const stop = new AbortController()
    let runs = 0
    const onProgress = () => {
      runs++
      stop.abort()
    }
    await assert.rejects(prepareFile({ source, parityShards: 4, onProgress, signal: stop.signal }), {
      code: 'ABORTED',
    })
    assert.equal(runs, 1)
  })

  it('error: a file that is absent or a folder', async () => {
    await assert.rejects(openPathSource(join(tempDir(), 'none')), { code: 'FILE_MISSING' })
    await assert.rejects(openPathSource(tempDir()), { code: 'FILE_MISSING' })
  })
})

describe('shard roots of a prepared file', () => {
  it('do not depend on the thread that hashed them, however many there are', async () => {
    const bytes = randomBytes(4_300_000, 11)
    const source = await openPathSource(fileOf(bytes))
    const results = []
    for (const threads of [1, 2, 5]) {
      const pool = createHashPool(source, { threads })
      results.push(await prepareFile({ source, parityShards: 16, pool }))
      await pool.close()
    }
    await source.close()
    assert.deepEqual(results[1], at(results, 0))
    assert.deepEqual(results[2], at(results, 0))
  })
})
