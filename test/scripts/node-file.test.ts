import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { ROOT, readSource } from '../support/repository.ts'

type Outcome = {
  name: string
  passed: number
  failed: number
  skipped: number
  note?: string
  logFile: string
}
type Run = (source: string, options: { env: NodeJS.ProcessEnv; timeoutMs: number }) => Promise<Outcome>

// A script in plain JavaScript: it runs before anything is compiled.
const { runNodeFile } = (await import(pathToFileURL(join(ROOT, 'scripts/test/node-file.mjs')).href)) as {
  runNodeFile: Run
}

/** As the runner starts it; node:test marks its children, which would turn them into parts of this file. */
const { NODE_TEST_CONTEXT: _marked, ...env } = process.env
const run = (name: string, more: NodeJS.ProcessEnv = {}, timeoutMs = 30_000) =>
  runNodeFile(`test/scripts/fixtures/${name}.ts`, { env: { ...env, ...more }, timeoutMs })

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A killed process that nobody has reaped yet still has its number.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('runNodeFile', () => {
  it('default: counts a passing file', async () => {
    const { passed, failed, skipped, note } = await run('passing')
    assert.deepEqual({ passed, failed, skipped, note }, { passed: 1, failed: 0, skipped: 0, note: undefined })
  })

  it('behavior: counts tests, not suites; a broken hook fails', async () => {
    const { passed, failed, skipped, logFile } = await run('mixed')
    assert.equal(passed, 2)
    assert.equal(skipped, 1)
    assert.ok(failed >= 3, `${failed} failed`)
    assert.match(readFileSync(logFile, 'utf8'), /on purpose/)
  })

  it('error: a file without tests', async () => {
    const { passed, failed, note } = await run('empty')
    assert.deepEqual({ passed, failed, note }, { passed: 0, failed: 1, note: 'ran no test' })
  })

  it('error: a process that dies', async () => {
    const { failed, note } = await run('dying')
    assert.equal(failed, 1)
    assert.equal(note, 'exit SIGKILL')
  })

  it('error: a file that does not end, whose children are ended with it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zerog-runner-'))
    const pidFile = join(folder, 'pid')
    const { passed, failed, note } = await run('hanging', { CHILD_PID_FILE: pidFile }, 3_000)
    assert.deepEqual({ passed, failed, note }, { passed: 1, failed: 1, note: 'still running after 3 s' })
    const pid = Number(readFileSync(pidFile, 'utf8'))
    const untilMs = Date.now() + 10_000
    while (isAlive(pid) && Date.now() < untilMs) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isAlive(pid), false)
    rmSync(folder, { recursive: true })
  })
})

describe('.ci/run', () => {
  it('runs npm test, quietly, from the root', () => {
    const script = readSource('.ci/run')
    assert.match(script, /^#!\/usr\/bin\/env bash\n/)
    assert.match(script, /^npm test --silent <\/dev\/null\n$/m)
  })
})
