import { join } from 'node:path'
import { Command } from 'commander'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseCount } from '../amount.ts'
import { CHECKOUT } from '../checkout.ts'
import { runChild } from '../run-child.ts'

const HELP = `
Chain, contracts and agents run until Ctrl-C. Other terminals of this checkout find the network by themselves: no
RPC_URL, no key. Big files need 6 agents: of 24 shards nobody may hold more than 4, so that any two may vanish.
Compute agents get their models from this very storage, so they need 6 storage agents as well: the first serves the chat
model, the second the classifier of digits, the others chat.`

const MODEL_AGENTS = 6
const COMPUTE_AGENTS = 3

/** `zerog devnet`: chain, contracts and providers on this machine, until Ctrl-C. */
export function devnetCommand(): Command {
  return new Command('devnet')
    .description('run a whole network on this machine until Ctrl-C')
    .option('--agents <count>', 'storage agents', parseCount('--agents', 1, 64), 8)
    .option('--da <count>', 'DA agents; as many as storage agents by default', parseCount('--da', 0, 64))
    .option(
      '--compute <count>',
      `compute agents; ${COMPUTE_AGENTS} by default where storage can hold their models`,
      parseCount('--compute', 0, 16),
    )
    .addHelpText('after', HELP)
    .action(run)
}

function run({ agents, da = agents, compute }: { agents: number; da?: number; compute?: number }) {
  const isRoom = agents >= MODEL_AGENTS
  if (compute !== undefined && compute > 0 && !isRoom)
    throw new ZerogError(
      'BAD_REQUEST',
      `--compute needs --agents ${MODEL_AGENTS} or more to store the models`,
    )
  const counts = { agents, da, compute: compute ?? (isRoom ? COMPUTE_AGENTS : 0) }
  return runChild(
    join(CHECKOUT, 'dist', 'scripts', 'devnet.js'),
    Object.entries(counts).flatMap(([name, count]) => [`--${name}`, String(count)]),
    CHECKOUT,
  )
}
