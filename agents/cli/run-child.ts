import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Runs a script with this Node.js in this process's place: same terminal, its signals, its exit code. */
export async function runChild(script: string, args: readonly string[], cwd = process.cwd()): Promise<void> {
  if (!existsSync(script)) {
    throw new ZerogError('FILE_MISSING', `${script} is not built: run \`npm run build\` in the checkout`)
  }
  const options = ['--enable-source-maps', '--disable-warning=ExperimentalWarning']
  const child = spawn(process.execPath, [...options, script, ...args], { cwd, stdio: 'inherit' })
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  const ignore = () => undefined
  // A terminal sends Ctrl-C to the child as well; a second copy would look like the impatient second one.
  const onInterrupt = process.stdin.isTTY ? ignore : forward
  process.on('SIGTERM', forward).on('SIGHUP', forward).on('SIGINT', onInterrupt)
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new ZerogError('INTERNAL', `${script} cannot be started`, { cause })),
    )
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}
