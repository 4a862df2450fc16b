import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { updateEnvFile } from '../../../agents/cli/env-file.ts'
import { tempDir } from '../../support/temp-dir.ts'

describe('updateEnvFile', () => {
  const path = join(tempDir(), '.env')

  it('default: sets what is named, keeps every other line in place, mode 0600', () => {
    writeFileSync(path, '# a comment\n\nexport KEPT="x y"\nPORT=1\n#PORT=9\nPORT=2\n\n\n', { mode: 0o644 })
    updateEnvFile(path, { PORT: '3', NEW: 'n' })
    assert.equal(readFileSync(path, 'utf8'), '# a comment\n\nexport KEPT="x y"\nPORT=3\n#PORT=9\nNEW=n\n')
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  it('behavior: the same twice changes nothing', () => {
    updateEnvFile(path, { PORT: '3', NEW: 'a b' })
    const once = readFileSync(path, 'utf8')
    updateEnvFile(path, { PORT: '3', NEW: 'a b' })
    assert.equal(readFileSync(path, 'utf8'), once)
  })

  it('behavior: what is written is read back, whatever it holds', () => {
    const value = fc
      .stringMatching(/^[ -~é]*$/)
      .filter((text) => !/['"`]/.test(text) || !/['`"].*['`"]/.test(text))
    fc.assert(
      fc.property(value, (text) => {
        writeFileSync(path, 'OTHER=1\n')
        updateEnvFile(path, { VALUE: text })
        assert.deepEqual({ ...parseEnv(readFileSync(path, 'utf8')) }, { OTHER: '1', VALUE: text })
      }),
      { numRuns: 200 },
    )
  })

  it('error: a value that no quotes can hold, and the file stays as it was', () => {
    writeFileSync(path, 'OTHER=1\n')
    for (const VALUE of [`'"\``, 'two\nlines']) {
      assert.throws(() => updateEnvFile(path, { VALUE }), { code: 'CONFIG_INVALID' })
    }
    assert.equal(readFileSync(path, 'utf8'), 'OTHER=1\n')
  })
})
