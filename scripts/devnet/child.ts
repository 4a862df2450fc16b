import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'

/** A process that the devnet started; ended only by its own id. */
export type Child = {
  readonly name: string
  readonly pid: number
  readonly logFile: string | undefined
  /** Set once it has ended. */
  readonly ended: () => string | undefined
  readonly kill: (signal: NodeJS.Signals) => Promise<void>
}

type StartChild = {
  name: string
  args: string[]
  cwd: string
  env?: Record<string, string>
  /** Where its output goes; nowhere when absent. */
  logFile?: string
}

/** Starts Node on a script, its output in a log file. */
export function startChild(options: StartChild): Child {
  const output = options.logFile === undefined ? ('ignore' as const) : openSync(options.logFile, 'a')
  const child: ChildProcess = spawn(process.execPath, options.args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', output, output],
  })
  if (typeof output === 'number') closeSync(output)
  let end: string | undefined
  const closed = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end = error.message
      resolve()
    })
    child.once('close', (code, signal) => {
      end = signal ?? `exit code ${code}`
      resolve()
    })
  })
  return {
    name: options.name,
    pid: child.pid ?? 0,
    logFile: options.logFile,
    ended: () => end,
    kill: async (signal) => {
      if (end === undefined) child.kill(signal)
      const hardly = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await closed
      clearTimeout(hardly)
    },
  }
}

/** The last lines of a child's log, for an error message. */
export function logTail(child: Child, lines = 15): string {
  if (child.logFile === undefined) return ''
  return readFileSync(child.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
}
