import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { memorySink } from '../../../sdk/client/file-sink.ts'
import { createPathSink } from '../../../sdk/client/file-sink-node.ts'
import { tempDir } from '../../support/temp-dir.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)

describe('createPathSink', () => {
  it('shows the file only when it is committed, whole, with nothing beside it', async () => {
    const folder = tempDir()
    const path = join(folder, 'out')
    const sink = await createPathSink(path)
    await sink.write(3, bytes(4, 5))
    await sink.write(0, bytes(1, 2, 3))
    assert(!readdirSync(folder).includes('out'))
    await sink.commit()
    assert.deepEqual(new Uint8Array(readFileSync(path)), bytes(1, 2, 3, 4, 5))
    assert.deepEqual(readdirSync(folder), ['out'])
  })

  it('leaves no trace when it is discarded', async () => {
    const folder = tempDir()
    const sink = await createPathSink(join(folder, 'out'))
    await sink.write(0, bytes(1))
    await sink.discard()
    assert.deepEqual(readdirSync(folder), [])
  })

  it('replaces a file only when told to', async () => {
    const path = join(tempDir(), 'out')
    writeFileSync(path, 'old')
    await assert.rejects(createPathSink(path), { code: 'FILE_EXISTS' })
    const sink = await createPathSink(path, { overwrite: true })
    await sink.write(0, bytes(7))
    assert.equal(readFileSync(path, 'utf8'), 'old')
    await sink.commit()
    assert.deepEqual(new Uint8Array(readFileSync(path)), bytes(7))
  })

  it('error: a file that appears meanwhile is not overwritten', async () => {
    const path = join(tempDir(), 'out')
    const sink = await createPathSink(path)
    await sink.write(0, bytes(7))
    writeFileSync(path, 'other')
    await assert.rejects(sink.commit(), { code: 'FILE_EXISTS' })
    await sink.discard()
    assert.equal(readFileSync(path, 'utf8'), 'other')
  })

  it('error: a folder that is not there', async () => {
    await assert.rejects(createPathSink(join(tempDir(), 'none', 'out')), { code: 'FILE_MISSING' })
  })
})

describe('memorySink', () => {
  it('gives bytes after the commit only', async () => {
    const sink = memorySink()
    await sink.write(2, bytes(3))
    await sink.write(0, bytes(1, 2))
    assert.equal(sink.bytes().length, 0)
    await sink.commit()
    assert.deepEqual(sink.bytes(), bytes(1, 2, 3))
  })
})
