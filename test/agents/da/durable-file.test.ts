import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { writeDurably } from '../../../agents/da/durable-file.ts'
import { randomBytes } from '../../support/content.ts'
import { tempDir } from '../../support/temp-dir.ts'

describe('writeDurably', () => {
  it('behavior: two writers of one file do not disturb each other; whoever is last, the file is whole', async () => {
    const folder = tempDir()
    const path = join(folder, 'one')
    const contents = Array.from({ length: 8 }, (_, i) => randomBytes(500_000, i))
    await Promise.all(contents.map((bytes) => writeDurably(path, bytes)))
    const found = readFileSync(path)
    assert.ok(contents.some((bytes) => found.equals(bytes)))
    assert.deepEqual(readdirSync(folder), ['one'])
  })

  it('error: what could not be written leaves nothing behind', async () => {
    const folder = tempDir()
    await assert.rejects(writeDurably(join(folder, 'missing', 'one'), new Uint8Array(10)))
    await assert.rejects(writeDurably(folder, new Uint8Array(10)))
    assert.deepEqual(readdirSync(folder), [])
  })
})
