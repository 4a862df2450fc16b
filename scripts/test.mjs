#!/usr/bin/env node
// npm test [-- <path filter> …]; npm run test:fast. The last line is always `N passed, N failed`.
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { filesUnder } from './setup/stamps.mjs'
import { build, lint, solidity } from './test/checks.mjs'
import { runNodeFile } from './test/node-file.mjs'

const MINUTE_MS = 60_000
const FAST = /^test\/(sdk\/protocol|sdk\/chain|contracts|agents\/kernel|architecture)/
const NOT_FAST = /\/(dilution|ledger-gas|da-court-cells|kzg-cell)\.test/ // ten seconds and more each
const ALONE = /^test\/(e2e|clients)\// // whole networks of processes: one at a time
const isNodeTest = (name) => name.endsWith('.test.ts') || name.endsWith('.e2e.ts')

const total = { passed: 0, failed: 0, skipped: 0 }

function report({ name, passed, failed, skipped, ms, note, output, logFile }) {
  total.passed += passed
  total.failed += failed
  total.skipped += skipped
  const parts = [
    `${passed} passed`,
    failed > 0 && `${failed} failed`,
    skipped > 0 && `${skipped} skipped`,
    note,
  ]
  const line = `${name}: ${parts.filter(Boolean).join(', ')} (${(ms / 1000).toFixed(1)} s)`
  process.stdout.write(`${failed > 0 ? '✗' : '✓'} ${line}\n`)
  if (failed === 0) return
  const text = output ?? (logFile === undefined ? '' : readFileSync(logFile, 'utf8'))
  process.stdout.write(`${text.trimEnd().replaceAll(/^/gm, '    ')}\n`)
}

async function runFiles(files, width, env) {
  const queue = [...files]
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const timeoutMs = (ALONE.test(file) ? 20 : 10) * MINUTE_MS
      report(await runNodeFile(file, { env, timeoutMs }))
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}

async function main(args) {
  const fast = args.includes('--fast')
  const filters = args.filter((arg) => !arg.startsWith('--'))
  const wanted = (file) =>
    filters.length > 0
      ? filters.some((filter) => file.includes(filter))
      : !fast || (FAST.test(file) && !NOT_FAST.test(file))
  const env = { ...process.env, FORCE_COLOR: '0' }

  if (filters.length === 0) report(await lint(env))
  const built = await build(env)
  report(built)
  if (built.failed > 0) return

  const solidityTests = filesUnder('test', (name) => name.endsWith('.t.sol'))
  const solidityFiles = solidityTests.filter((file) => filters.length === 0 || wanted(file))
  if (solidityFiles.length > 0) {
    const files = filters.length === 0 ? [] : solidityFiles
    report(await solidity(env, { profile: fast ? 'fast' : 'default', files }))
  }

  const nodeFiles = filesUnder('test', isNodeTest).filter(
    (file) => !file.startsWith('test/vectors/') && wanted(file),
  )
  if (solidityFiles.length + nodeFiles.length === 0) throw new Error(`no test matches ${filters.join(' ')}`)
  // In parallel only as wide as the machine; more than four would fight over disk and ports, not gain time.
  const width = Math.max(2, Math.min(4, cpus().length))
  await runFiles(
    nodeFiles.filter((file) => !ALONE.test(file)),
    width,
    env,
  )
  await runFiles(
    nodeFiles.filter((file) => ALONE.test(file)),
    1,
    env,
  )
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130))
try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stdout.write(`${error.stack}\n`)
  total.failed += 1
}
if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped\n`)
if (total.passed + total.failed === 0) process.stdout.write('nothing ran\n')
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
