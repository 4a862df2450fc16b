import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT, STATE_DIR } from '../setup/step.mjs'

const REPORTER = fileURLToPath(new URL('./reporter.mjs', import.meta.url))

function readResults(path) {
  try {
    const lines = readFileSync(path, 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
  } catch {
    return [] // the process died before its first result
  }
}

/** Ends a test process with everything it started: it leads its own process group. */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // gone already
  }
}

const running = new Set()
process.on('exit', () => running.forEach(endGroup))

/**
 * Runs one compiled test file in its own process and process group, under a time-out, with its output in a log.
 * A file that runs no test, dies, or leaves the process open past the time-out counts as one more failure.
 */
export async function runNodeFile(source, { env, timeoutMs }) {
  const name = source.replace(/^test\//, '').replace(/\.ts$/, '')
  const logFile = join(STATE_DIR, 'logs/test', `${name.replaceAll('/', '--')}.log`)
  const resultsFile = `${logFile}.jsonl`
  mkdirSync(dirname(logFile), { recursive: true })
  rmSync(resultsFile, { force: true })
  const log = openSync(logFile, 'w')
  const args = [
    '--enable-source-maps',
    '--disable-warning=ExperimentalWarning',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${REPORTER}`,
    `--test-reporter-destination=${resultsFile}`,
    join('dist', source.replace(/\.ts$/, '.js')),
  ]
  const startedMs = Date.now()
  let timedOut = false
  const ending = await new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env,
      stdio: ['ignore', log, log],
      detached: true,
    })
    running.add(child.pid)
    const timer = setTimeout(() => {
      timedOut = true
      endGroup(child.pid)
    }, timeoutMs)
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (status, signal) => {
      clearTimeout(timer)
      endGroup(child.pid) // servers that the file forgot to stop
      running.delete(child.pid)
      resolve(status === 0 ? undefined : `exit ${status ?? signal}`)
    })
  })
  closeSync(log)
  const results = readResults(resultsFile)
  const count = (status) => results.filter((result) => result.status === status).length
  const outcome = { name, logFile, ms: Date.now() - startedMs, skipped: count('skipped') }
  const passed = count('passed')
  let failed = count('failed')
  let note
  if (timedOut) note = `still running after ${timeoutMs / 1000} s`
  else if (ending !== undefined && failed === 0) note = ending
  else if (results.length === 0) note = 'ran no test'
  if (note !== undefined) failed += 1
  return { ...outcome, passed, failed, note }
}
