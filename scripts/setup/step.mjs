import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const STATE_DIR = join(ROOT, '.zerog')

/** A set-up failure with a stable word code and a sysexits-style exit code. */
export class SetupError extends Error {
  constructor(code, message, exitCode = 1) {
    super(message)
    this.name = 'SetupError'
    this.code = code
    this.exitCode = exitCode
  }
}

/** One progress line that is finished with a tick and the seconds it took. */
export async function progress(title, work) {
  const startedMs = Date.now()
  process.stderr.write(`• ${title} … `)
  try {
    const result = await work()
    process.stderr.write(`done (${((Date.now() - startedMs) / 1000).toFixed(1)} s)\n`)
    return result
  } catch (error) {
    process.stderr.write('failed\n')
    throw error
  }
}

/**
 * Runs a command to its end with all output in `.zerog/logs/<name>.log`, which is shown only when it fails.
 * Throws SetupError with `code` on a non-zero exit or when the command cannot start.
 */
export async function runLogged(name, command, args, { env = process.env, cwd = ROOT, code, exitCode = 1 }) {
  const logFile = join(STATE_DIR, 'logs', `${name}.log`)
  mkdirSync(dirname(logFile), { recursive: true })
  const log = openSync(logFile, 'w')
  const outcome = await new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', log, log] })
    child.once('error', (error) => resolve(error.message))
    child.once('close', (status, signal) => resolve(status === 0 ? undefined : `exit ${status ?? signal}`))
  })
  closeSync(log)
  if (outcome === undefined) return
  const output = readFileSync(logFile, 'utf8').trimEnd()
  throw new SetupError(
    code,
    `${command} ${args.join(' ')}: ${outcome}\n${output}\n(log: ${logFile})`,
    exitCode,
  )
}

/** Runs a command and returns its trimmed standard output, or undefined when it fails in any way. */
export async function output(command, args, env = process.env) {
  return await new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'ignore'] })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    child.once('error', () => resolve(undefined))
    child.once('close', (status) => resolve(status === 0 ? text.trim() : undefined))
  })
}
