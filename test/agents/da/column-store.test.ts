import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openColumnStore } from '../../../agents/da/column-store.ts'
import { type EncodedPayload, encodePayload } from '../../../agents/da/encode-payload.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { blobIdOf } from '../../../sdk/protocol/blob-header.ts'
import { columnFileBytes, columnRoot } from '../../../sdk/protocol/column.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { at, randomBytes } from '../../support/content.ts'
import { tempDir } from '../../support/temp-dir.ts'

const hasher = await loadHasher()
const kzg = await loadNodeKzg()
const ADDRESS = `0x${'00'.repeat(19)}A1`
const encoded: EncodedPayload = await encodePayload({ hasher, kzg }, randomBytes(130_000, 1), {
  signal: AbortSignal.timeout(60_000),
})
const { blobCount, payloadBytes, payloadHash, commitmentsRoot, cellsRoot, commitments } = encoded
const header = {
  ...{ version: 1, chainId: 1n, da: ADDRESS, disperser: ADDRESS, epoch: 0n, nonce: 1n, expiresAt: 10n },
  ...{ blobCount, payloadBytes, payloadHash, commitmentsRoot, cellsRoot },
}
const blob = { blobId: blobIdOf(header), header, signature: `0x${'11'.repeat(65)}`, commitments }
const columns = [3, 64].map((column) => at(encoded.columns, column))

async function open(dataDir = tempDir(), { capacityBytes = 10_000_000 } = {}) {
  const store = openStore(join(dataDir, 'da.sqlite'))
  const folder = join(dataDir, 'columns')
  return { dataDir, folder, store, held: await openColumnStore({ folder, store, hasher, capacityBytes }) }
}

const fileOf = (folder: string, column: number) => join(folder, blob.blobId.slice(2), `${column}.column`)

describe('openColumnStore', () => {
  it('default: columns, commitments and header are kept over a restart', async () => {
    const { dataDir, held, store } = await open()
    await held.put(blob, columns)
    assert.equal(held.usedBytes(), 2 * columnFileBytes(blobCount))
    store.close()
    const again = await open(dataDir)
    assert.deepEqual(again.held.blob(blob.blobId), blob)
    const column = await again.held.read(blob.blobId, 64)
    assert.ok(column)
    assert.deepEqual(columnRoot(hasher, column), columnRoot(hasher, at(columns, 1)))
    assert.equal(await again.held.read(blob.blobId, 5), undefined)
    assert.equal(again.held.has(blob.blobId, 5), false)
  })

  it('behavior: what is not the header’s column any more is damaged, and whole again once it is put anew', async () => {
    const { folder, held } = await open()
    await held.put(blob, columns)
    const file = readFileSync(fileOf(folder, 3))
    file.set([at([...file], 500) ^ 1], 500)
    writeFileSync(fileOf(folder, 3), file)
    assert.equal(await held.check({ blobId: blob.blobId, column: 3 }), false)
    assert.equal(held.has(blob.blobId, 3), false)
    rmSync(fileOf(folder, 64))
    assert.equal(await held.read(blob.blobId, 64), undefined)
    await held.put(blob, columns)
    assert.ok(await held.check({ blobId: blob.blobId, column: 3 }))
    assert.ok(await held.read(blob.blobId, 64))
  })

  it('behavior: files that no record knows are removed at the start', async () => {
    const { dataDir, folder, held, store } = await open()
    await held.put(blob, columns)
    store.close()
    writeFileSync(`${fileOf(folder, 7)}.tmp`, 'half')
    mkdirSync(join(folder, 'ab'.repeat(32)))
    writeFileSync(join(folder, 'ab'.repeat(32), '1.column'), 'nobody’s')
    const again = await open(dataDir)
    assert.equal(existsSync(`${fileOf(folder, 7)}.tmp`), false)
    assert.equal(existsSync(join(folder, 'ab'.repeat(32))), false)
    assert.ok(await again.held.read(blob.blobId, 3))
  })

  it('behavior: removing a blob frees its room', async () => {
    const { folder, held } = await open()
    await held.put(blob, columns)
    await held.remove(blob.blobId)
    assert.equal(held.usedBytes(), 0)
    assert.equal(held.blob(blob.blobId), undefined)
    assert.equal(existsSync(join(folder, blob.blobId.slice(2))), false)
  })

  it('behavior: what a full node keeps it can repair', async () => {
    const capacityBytes = 2 * columnFileBytes(blobCount)
    const { folder, held } = await open(tempDir(), { capacityBytes })
    await held.put(blob, columns)
    rmSync(fileOf(folder, 64))
    assert.equal(await held.check({ blobId: blob.blobId, column: 64 }), false)
    assert.deepEqual(held.counts(), { kept: 2, damaged: 1 })
    await held.put(blob, columns.slice(1))
    assert.deepEqual(held.counts(), { kept: 2, damaged: 0 })
    assert.equal(held.usedBytes(), capacityBytes)
  })

  it('error: no capacity left', async () => {
    const { folder, held } = await open(tempDir(), { capacityBytes: 2 * columnFileBytes(blobCount) - 1 })
    await assert.rejects(held.put(blob, columns), { code: 'DISK_FULL' })
    assert.equal(held.blob(blob.blobId), undefined)
    assert.equal(existsSync(join(folder, blob.blobId.slice(2))), false)
    await held.put(blob, columns.slice(0, 1))
  })
})
