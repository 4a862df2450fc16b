import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatManifest, type ManifestFile, parseManifest } from '../../../sdk/protocol/model-manifest.ts'

const file = (path: string, change: object = {}): ManifestFile => ({
  ...{ path, root: `0x${'ab'.repeat(32)}`, bytes: 5, sha256: 'cd'.repeat(32) },
  ...change,
})

describe('formatManifest', () => {
  it('default: one text for one set of files, read back sorted', () => {
    const files = [file('onnx/model.onnx'), file('config.json')]
    const text = formatManifest(files)
    assert.equal(text, formatManifest([...files].reverse()))
    assert.deepEqual(parseManifest(text), [...files].reverse())
  })
})

describe('parseManifest', () => {
  it('error: no list, no files, or files with wrong fields', () => {
    const cases: unknown[] = [{}, [], [1], [file('a', { root: '0x12' })], [file('a', { bytes: 0 })]]
    cases.push([file('a', { bytes: 1.5 })], [file('a', { sha256: 'AB'.repeat(32) })], [file('a'), file('A')])
    for (const value of cases)
      assert.throws(() => parseManifest(JSON.stringify(value)), { code: 'COMPUTE_MODEL_INVALID' })
    assert.throws(() => parseManifest('{'), { code: 'COMPUTE_MODEL_INVALID' })
  })

  it('error: paths that leave the folder or hide in it', () => {
    for (const path of [
      '',
      '/a',
      '../a',
      'a/../b',
      'a//b',
      'a/',
      '.env',
      'a\\b',
      'C:a',
      'a\0',
      'x'.repeat(600),
    ])
      assert.throws(
        () => parseManifest(JSON.stringify([file(path)])),
        { code: 'COMPUTE_MODEL_INVALID' },
        path,
      )
  })
})
