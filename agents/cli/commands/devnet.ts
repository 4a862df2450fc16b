import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Command } from 'commander'
import { CHECKOUT } from '../checkout.ts'

/** `zerog devnet`: chain, contracts and eight providers on this machine, until Ctrl-C. */
export function devnetCommand(): Command {
  return new Command('devnet')
    .description('run a whole network on this machine until Ctrl-C')
    .option('--agents <count>', 'storage agents', '8')
    .action(async ({ agents }: { agents: string }) => {
      const script = join(CHECKOUT, 'dist', 'scripts', 'devnet.js')
      const child = spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', script, '--agents', agents],
        {
          cwd: CHECKOUT,
          stdio: 'inherit',
        },
      )
      process.on('SIGINT', () => undefined).on('SIGTERM', () => child.kill('SIGTERM'))
      process.exitCode = await new Promise<number>((resolve) =>
        child.once('close', (code) => resolve(code ?? 1)),
      )
    })
}
