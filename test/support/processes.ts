import { type ChildProcess, spawn } from 'node:child_process'

export { freePort } from '../../scripts/devnet/ports.ts'

export type RunningProcess = {
  readonly pid: number
  /** Everything it wrote to stdout and stderr so far. */
  output(): string
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  kill(signal?: NodeJS.Signals): void
  /** Asks it to end, then waits until it has. */
  stop(): Promise<void>
}

const children = new Set<ChildProcess>()
// A test file that dies must not leave its nodes and servers behind.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts a real process; it is killed at the latest when this one ends. */
export function startProcess(
  command: string,
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): RunningProcess {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  children.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      children.delete(child)
      resolve({ code, signal })
    })
  })
  exited.catch(() => undefined)
  return {
    pid: child.pid ?? 0,
    output: () => output,
    exited,
    kill: (signal = 'SIGKILL') => {
      child.kill(signal)
    },
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}
