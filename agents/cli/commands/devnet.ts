import { join } from 'node:path'
import { Command } from 'commander'
import { parseCount } from '../amount.ts'
import { CHECKOUT } from '../checkout.ts'
import { runChild } from '../run-child.ts'

const HELP = `
Chain, contracts and agents run until Ctrl-C. Other terminals of this checkout find the network by themselves: no
RPC_URL, no key. Big files need 6 agents: of 24 shards nobody may hold more than 4, so that any two may vanish.`

/** `zerog devnet`: chain, contracts and providers on this machine, until Ctrl-C. */
export function devnetCommand(): Command {
  return new Command('devnet')
    .description('run a whole network on this machine until Ctrl-C')
    .option('--agents <count>', 'storage agents', parseCount('--agents', 1, 64), 8)
    .option('--da <count>', 'DA agents; as many as storage agents by default', parseCount('--da', 0, 64))
    .addHelpText('after', HELP)
    .action(({ agents, da = agents }: { agents: number; da?: number }) =>
      runChild(
        join(CHECKOUT, 'dist', 'scripts', 'devnet.js'),
        ['--agents', String(agents), '--da', String(da)],
        CHECKOUT,
      ),
    )
}
