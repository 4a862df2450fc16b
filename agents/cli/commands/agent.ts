import { join } from 'node:path'
import { Command } from 'commander'
import { CHECKOUT } from '../checkout.ts'
import { runChild } from '../run-child.ts'
import { initComputeCommand, initDaCommand, initStorageCommand } from './agent-init.ts'

const mainOf = (agent: string) => join(CHECKOUT, 'dist', 'agents', agent, 'main.js')

const HELP = `
Settings come from the environment and from .env in this folder; .env.example lists them. The agent writes JSON lines to
standard output and runs until SIGTERM or Ctrl-C; a second signal ends it at once. It may be killed at any time.`

/** `zerog agent …`: run an agent, or prepare one. */
export function agentCommand(): Command {
  const agent = new Command('agent').description('run an agent, or prepare one')
  agent
    .command('storage')
    .description('run the storage agent with the settings of the environment and .env')
    .addHelpText('after', HELP)
    .action(() => runChild(mainOf('storage'), []))
  agent
    .command('da')
    .description('run the DA agent, disperser and node, with the settings of the environment and .env')
    .addHelpText('after', HELP)
    .action(() => runChild(mainOf('da'), []))
  agent
    .command('compute')
    .description(
      'run the compute agent, which serves one model, with the settings of the environment and .env',
    )
    .addHelpText('after', HELP)
    .action(() => runChild(mainOf('compute'), []))
  agent
    .command('init')
    .description('prepare an agent: key, settings, checks, stake, endpoint')
    .addCommand(initStorageCommand())
    .addCommand(initDaCommand())
    .addCommand(initComputeCommand())
  return agent
}
