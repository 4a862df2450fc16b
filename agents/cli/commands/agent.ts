import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { CHECKOUT } from '../checkout.ts'
import { initStorageCommand } from './agent-init.ts'

const AGENTS = { storage: join(CHECKOUT, 'dist', 'agents', 'storage', 'main.js') }

/** `zerog agent …`: run an agent, or prepare one. */
export function agentCommand(): Command {
  const agent = new Command('agent').description('run an agent, or prepare one')
  agent
    .command('storage')
    .description('run the storage agent with the settings of the environment and .env')
    .action(() => runAgentProcess('storage'))
  agent
    .command('init')
    .description('prepare an agent: key, settings, checks, stake, endpoint')
    .addCommand(initStorageCommand())
  return agent
}

/** Runs the agent as a process of its own, with this one's terminal and signals. */
async function runAgentProcess(name: keyof typeof AGENTS): Promise<void> {
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', '--disable-warning=ExperimentalWarning', AGENTS[name]],
    {
      stdio: 'inherit',
    },
  )
  // Ctrl-C reaches the child through the terminal; a supervisor's signal does not.
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  const ignore = () => undefined
  process.on('SIGTERM', forward).on('SIGINT', process.stdin.isTTY ? ignore : forward)
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new ZerogError('INTERNAL', `the ${name} agent cannot be started`, { cause })),
    )
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}
