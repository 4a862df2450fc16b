import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ROOT } from '../../support/repository.ts'

/** Runs a generator that compares instead of writing. */
function check(script: string): void {
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(ROOT, script), '--check'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 120_000,
  })
  assert.equal(status, 0, `${stdout}${stderr}`)
}

describe('generated files', () => {
  it('behavior: the WASM modules are what their sources compile to', () => {
    check('scripts/build-erasure-wasm.mjs')
  })

  it('behavior: the vectors are what the code computes', () => {
    check('dist/scripts/vectors.js')
  })
})
