import { Command } from 'commander'
import { fileStatus } from '../../../sdk/client/status.ts'
import { parseFileId } from '../amount.ts'
import { formatBytes, formatSeconds, formatTable, formatWei, shortHex } from '../format.ts'
import type { Output } from '../output.ts'
import { type Session, withSession } from '../session.ts'

/** `zerog storage status ROOT`: the deal, and who holds what right now. */
export function fileStatusCommand(): Command {
  return new Command('status')
    .description('state of a file: term, and which of its shards are there now')
    .argument('<root|txSeq>', 'root or number of the file', parseFileId)
    .action(withSession(showFile))
}

async function showFile(
  { chain, signal }: Session,
  output: Output,
  [id]: [ReturnType<typeof parseFileId>],
): Promise<void> {
  const status = await fileStatus(chain, id, { signal })
  const health =
    status.state !== 'sealed'
      ? ''
      : status.degraded === 0
        ? ', whole'
        : `, DEGRADED: ${status.degraded} shards missing, ${status.parityShards} may be${status.isReadable ? '' : '; NOT READABLE NOW'}`
  output.result({ ...status }, [
    `root     ${status.root}`,
    `txSeq    ${status.txSeq}, ${formatBytes(status.byteLength)}, owner ${status.owner}`,
    `state    ${status.state}${health}`,
    status.state === 'submitted'
      ? `escrow   ${formatWei(status.escrowWei)}; may be sealed until block ${status.sealDeadlineBlock}`
      : `expires  period ${status.expiresAt}, in about ${formatSeconds(status.secondsLeft)}`,
    '',
    ...(status.shards.length === 0
      ? []
      : formatTable(
          ['shard', 'kind', 'provider', 'state', 'endpoint'],
          status.shards.map((shard) => [
            String(shard.index),
            shard.index < status.dataShards ? 'data' : 'parity',
            shortHex(shard.provider),
            shard.isPresent ? 'present' : (shard.code ?? 'missing'),
            shard.endpoint,
          ]),
        )),
  ])
}
