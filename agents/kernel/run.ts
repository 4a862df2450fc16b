import { ERROR_CODES, errorCode } from '../../sdk/protocol/errors.ts'
import { type AgentHandle, type AgentOptions, startAgent } from './agent.ts'
import { unknownVariables } from './config.ts'
import type { KernelContext } from './duty.ts'
import { useFastKeccak } from './fast-keccak.ts'
import { growHeapFreely } from './heap-flags.ts'
import { createLog } from './log.ts'

export { type AgentHandle, type AgentOptions, startAgent } from './agent.ts'

/**
 * The main function of an agent's process: builds its options (configuration errors included), starts it, stops it
 * gracefully on SIGTERM or SIGINT (a second signal ends it at once), and ends the process with the exit code of the
 * error table when it cannot run. For agents inside another process use {@link startAgent}.
 */
export async function runAgent<C extends KernelContext>(
  name: string,
  build: () => AgentOptions<C> | Promise<AgentOptions<C>>,
): Promise<AgentHandle<C>> {
  let handle: AgentHandle<C> | undefined
  let signals = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    const code = signal === 'SIGINT' ? 130 : 143
    if (++signals > 1 || !handle) process.exit(code)
    void handle.stop().then(() => process.exit(0))
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  // State may be half changed after an error nobody caught; a restart brings it back from chain and disk.
  process.on('uncaughtException', (error) => fail(name, error))

  growHeapFreely()
  try {
    await useFastKeccak()
    const options = await build()
    handle = await startAgent(options)
    const { metrics, log } = handle.context
    metrics.collectProcess()
    for (const variable of unknownVariables(Object.keys(options.config)))
      log.warn({ variable }, 'nobody reads this variable')
    return handle
  } catch (error) {
    return fail(name, error)
  }
}

function fail(name: string, error: unknown): never {
  const code = errorCode(error)
  const message = error instanceof Error ? error.message : String(error)
  // What an operator can put right is said plainly; the rest needs its stack.
  if (code === 'INTERNAL') createLog({ name }).fatal({ code, err: error }, 'agent ended')
  else process.stderr.write(`${name}: ${code}: ${message}\n${ERROR_CODES[code].action}.\n`)
  process.exit(ERROR_CODES[code].exitCode)
}
