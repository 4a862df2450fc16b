import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEnv } from 'node:util'
import { generatedDocs } from '../../scripts/generate-docs.ts'
import { ERROR_CODES } from '../../sdk/protocol/errors.ts'
import { readSource } from '../support/repository.ts'

describe('generatedDocs', () => {
  for (const [file, content] of Object.entries(generatedDocs())) {
    it(`behavior: ${file} is what the code says`, () => {
      assert.equal(readSource(file), content, 'write it anew: node dist/scripts/generate-docs.js')
    })
  }

  it('behavior: .env.example sets nothing until something is uncommented, and then parses', () => {
    const text = readSource('.env.example')
    assert.deepEqual(parseEnv(text), {})
    const uncommented = parseEnv(text.replaceAll(/^#(?=[A-Z][A-Z0-9_]*=)/gm, ''))
    assert.equal(uncommented.HTTP_HOST, '127.0.0.1')
    assert.ok(Object.keys(uncommented).length > 30)
  })

  it('behavior: the guide for operators names only codes that exist', () => {
    const named = readSource('docs/operating.md').match(/`[A-Z]+(_[A-Z]+)+`/g) ?? []
    const settings = parseEnv(readSource('.env.example').replaceAll(/^#(?=[A-Z])/gm, ''))
    const known = (name: string) => Object.hasOwn(ERROR_CODES, name) || Object.hasOwn(settings, name)
    assert.ok(named.length > 10, `${named.length} names`)
    assert.deepEqual(
      named.map((name) => name.slice(1, -1)).filter((name) => !known(name)),
      [],
    )
  })
})
