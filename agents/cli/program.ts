import { Command, CommanderError } from 'commander'
import { ERROR_CODES } from '../../sdk/protocol/errors.ts'
import { agentCommand } from './commands/agent.ts'
import { devnetCommand } from './commands/devnet.ts'
import { doctorCommand } from './commands/doctor.ts'
import { stakeCommand } from './commands/stake.ts'
import { statusCommand } from './commands/status.ts'
import { storageCommand } from './commands/storage.ts'
import { printError } from './output.ts'

const EXAMPLES = `
Examples:
  zerog devnet                                 a whole network on this machine
  zerog storage root photo.jpg                 its root, offline
  zerog storage upload photo.jpg               keep it on the network
  zerog storage download 0x1f… photo.jpg       read it back
  zerog agent init storage                     become a provider

Settings come from options, the environment and .env, in this order; .env.example lists them.
Exit codes follow sysexits.h; with --json, results and errors are JSON.`

/** The whole command line. */
export function createProgram(): Command {
  const program = new Command('zerog')
    .description('ZeroG: storage with named custodians, proofs and a penalty')
    .option('--json', 'print results and errors as JSON')
    .option('--rpc <url>', 'JSON-RPC address of the chain')
    .option('--addresses <file>', 'address book of the deployment')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(zerog --help shows what there is)')
  for (const command of [
    storageCommand,
    agentCommand,
    stakeCommand,
    statusCommand,
    doctorCommand,
    devnetCommand,
  ]) {
    program.addCommand(command())
  }
  exitByThrowing(program)
  return program
}

/** Runs the command line and returns the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...argv], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE
    return printError(error, argv.includes('--json'))
  }
}

const USAGE_EXIT_CODE = ERROR_CODES.BAD_REQUEST.exitCode

function exitByThrowing(command: Command): void {
  command.exitOverride()
  for (const child of command.commands) exitByThrowing(child)
}
