import { Command } from 'commander'
import { listFiles } from '../../../sdk/client/list.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseCount } from '../amount.ts'
import { formatBytes, formatTable } from '../format.ts'
import type { Output } from '../output.ts'
import { type Session, withSession } from '../session.ts'

type ListOptions = { owner?: string; limit: number }

/** `zerog storage list`: files of an owner, newest first, from the chain alone. */
export function listCommand(): Command {
  return new Command('list')
    .description('your files, newest first')
    .option('--owner <address>', 'owner; yourself by default', parseAddress)
    .option('--limit <count>', 'most files', parseCount('--limit', 1, 10_000), 100)
    .action(withSession((session, output, _args: [], options: ListOptions) => list(session, output, options)))
}

async function list(session: Session, output: Output, options: ListOptions): Promise<void> {
  const owner = options.owner ?? ownAddress(session)
  const files = await listFiles(session.chain, { owner, limit: options.limit, signal: session.signal })
  output.result(
    { owner, files },
    files.length === 0
      ? [`${owner} has no files here`]
      : formatTable(
          ['txSeq', 'state', 'size', 'until period', 'root'],
          files.map((file) => [
            String(file.txSeq),
            file.state,
            formatBytes(file.byteLength),
            file.endPeriod === undefined ? '-' : String(file.endPeriod),
            file.root,
          ]),
        ),
  )
}

function ownAddress({ wallet }: Session): string {
  if (wallet !== undefined) return wallet.address
  throw new ZerogError('CONFIG_INVALID', 'whose files? Give --owner ADDRESS, or configure your key')
}
