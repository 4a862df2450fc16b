import { Command } from 'commander'
import { chatCommand } from './compute-chat.ts'
import { computeDoctorCommand } from './compute-doctor.ts'
import { embedCommand } from './compute-embed.ts'
import { fundCommand } from './compute-fund.ts'
import { inferCommand } from './compute-infer.ts'
import { jobCommand } from './compute-job.ts'
import { proxyCommand } from './compute-proxy.ts'
import { servicesCommand } from './compute-services.ts'
import { withdrawFundsCommand } from './compute-withdraw.ts'

const HELP = `
To begin:   zerog compute services; zerog compute fund PROVIDER 1; zerog compute chat "Tell me a story"`

/** `zerog compute …`: models that providers serve, billed by signed receipts. */
export function computeCommand(): Command {
  const compute = new Command('compute')
    .description('use models that providers serve: find, fund, ask; every answer is verified')
    .addHelpText('after', HELP)
  for (const command of [
    servicesCommand,
    fundCommand,
    withdrawFundsCommand,
    chatCommand,
    embedCommand,
    inferCommand,
    jobCommand,
    proxyCommand,
    computeDoctorCommand,
  ])
    compute.addCommand(command())
  return compute
}
