import { Command, CommanderError } from 'commander'
import { ERROR_CODES, ZerogError } from '../../sdk/protocol/errors.ts'
import { readVersion } from '../kernel/version.ts'
import { parseUrl } from './amount.ts'
import { agentCommand } from './commands/agent.ts'
import { computeCommand } from './commands/compute.ts'
import { daCommand } from './commands/da.ts'
import { devnetCommand } from './commands/devnet.ts'
import { doctorCommand } from './commands/doctor.ts'
import { modelCommand } from './commands/model.ts'
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
  zerog da publish batch.bin                   publish data, attested by a staked committee
  zerog da sample 0x4c…                        is it there? without reading it
  zerog compute services                       who serves which model
  zerog model publish ./digits --id me/digits  a model into storage, under a name
  zerog agent init storage                     become a provider

Settings come from options, the environment and .env, in this order; .env.example lists them. With none of them, the
devnet of this checkout is used if it runs. Every error has a code and an exit code: docs/errors.md. With --json, results
(standard output) and errors (standard error) are JSON.`

/** The whole command line. With `json`, nothing but JSON is printed, usage errors included. */
export function createProgram({ json = false } = {}): Command {
  const program = new Command('zerog')
    .description('ZeroG: storage, data availability and compute with named providers, proofs and a penalty')
    .version(readVersion(), '--version', 'print the version')
    .option('--json', 'print results and errors as JSON')
    .option('--rpc <url>', 'JSON-RPC address of the chain; RPC_URL by default', parseUrl('--rpc'))
    .option('--addresses <file>', 'address book of the deployment; ADDRESS_BOOK by default')
    .addHelpText('after', EXAMPLES)
  for (const command of [
    storageCommand,
    daCommand,
    computeCommand,
    modelCommand,
    agentCommand,
    stakeCommand,
    statusCommand,
    doctorCommand,
    devnetCommand,
  ]) {
    program.addCommand(command())
  }
  prepare(program, { path: 'zerog', json })
  return program
}

/** Runs the command line and returns the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const json = argv.includes('--json')
  try {
    await createProgram({ json }).parseAsync([...argv], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (!(error instanceof CommanderError)) return printError(error, json)
    if (error.exitCode === 0) return 0
    if (!json) return ERROR_CODES.BAD_REQUEST.exitCode
    const text = error.code === 'commander.help' ? 'a command is missing' : error.message
    return printError(new ZerogError('BAD_REQUEST', text.replace(/^error: /, '')), json)
  }
}

/** Makes every command throw instead of exiting, and its usage errors look like all others. */
function prepare(command: Command, { path, json }: { path: string; json: boolean }): void {
  command.exitOverride()
  command.showHelpAfterError(`  (${path} --help shows how)`)
  command.configureOutput({
    ...(json ? { writeErr: () => undefined } : {}),
    outputError: (text, write) => write(text.replace(/^error: /, 'error BAD_REQUEST: ')),
  })
  for (const child of command.commands) prepare(child, { path: `${path} ${child.name()}`, json })
}
