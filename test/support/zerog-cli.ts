import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './repository.ts'

export type CliRun = {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Standard output as JSON; throws when it is none. */
  json<T = Record<string, unknown>>(): T
  /** The code of the JSON error on standard error; undefined when there is none. */
  errorCode(): string | undefined
}

export type RunningCli = {
  readonly pid: number
  stdout(): string
  stderr(): string
  kill(signal: NodeJS.Signals): void
  readonly done: Promise<CliRun>
}

type CliOptions = {
  cwd: string
  env?: Record<string, string>
  /** Largest file it may write, in KiB: a disk that is full. */
  fileLimitKiB?: number
}

const children = new Set<ReturnType<typeof spawn>>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts the real `zerog` as a process of its own; of this one's environment it gets PATH alone. */
export function startZerog(args: readonly string[], { cwd, env = {}, fileLimitKiB }: CliOptions): RunningCli {
  const node = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    join(ROOT, 'dist/agents/cli/main.js'),
    ...args,
  ]
  // `ulimit -f` counts blocks of 512 B in POSIX shells.
  const [command = '', ...rest] =
    fileLimitKiB === undefined
      ? node
      : ['/bin/sh', '-c', `ulimit -f ${fileLimitKiB * 2} && exec "$@"`, 'sh', ...node]
  const child = spawn(command, rest, {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: cwd, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const done = new Promise<CliRun>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      children.delete(child)
      resolve({
        code,
        stdout,
        stderr,
        json: () => JSON.parse(stdout),
        errorCode: () => codeOf(stderr),
      })
    })
  })
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    kill: (signal) => {
      child.kill(signal)
    },
    done,
  }
}

/** Runs `zerog` to its end. */
export function runZerog(args: readonly string[], options: CliOptions): Promise<CliRun> {
  return startZerog(args, options).done
}

function codeOf(stderr: string): string | undefined {
  try {
    return (JSON.parse(stderr) as { error: { code: string } }).error.code
  } catch {
    return undefined
  }
}
