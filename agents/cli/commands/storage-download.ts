import { Command } from 'commander'
import { findSealedFile } from '../../../sdk/client/find-deal.ts'
import { downloadPath } from '../../../sdk/client/paths-node.ts'
import { parseFileId, parseRange } from '../amount.ts'
import { formatBytes } from '../format.ts'
import type { Output } from '../output.ts'
import { type Session, withSession } from '../session.ts'

type FileId = ReturnType<typeof parseFileId>
type DownloadOptions = { range?: { start: number; end?: number }; force?: boolean }

const HELP = `
Bytes of a root that several submissions carry are the same bytes: the newest deal that still lives is read.
Up to as many shards as the deal has parity may be gone; what is missing is rebuilt and checked before FILE appears.`

/** `zerog storage download ROOT FILE`: every byte is checked against the root; the file appears whole or not at all. */
export function downloadCommand(): Command {
  return new Command('download')
    .description('read a file back; every byte is checked, and the file appears whole or not at all')
    .argument('<root|txSeq>', 'root or number of the file', parseFileId)
    .argument('<file>', 'where to write it')
    .option('--range <from-to>', 'only these bytes, both included; `1024-` to the end', parseRange)
    .option('--force', 'overwrite the file')
    .addHelpText('after', HELP)
    .action(
      withSession((session, output, [id, file]: [FileId, string], options: DownloadOptions) =>
        download(session, output, { id, file, options }),
      ),
    )
}

async function download(
  { chain, signal }: Session,
  output: Output,
  { id, file, options }: { id: FileId; file: string; options: DownloadOptions },
): Promise<void> {
  const bar = output.bar('reading ', 'MB')
  const range = options.range
  const end =
    range === undefined ? 0 : (range.end ?? (await findSealedFile(chain, id, { signal })).layout.byteLength)
  const result = await downloadPath({
    ...id,
    chain,
    path: file,
    overwrite: options.force === true,
    onProgress: ({ doneBytes, totalBytes }) => bar.update(doneBytes, totalBytes),
    signal,
    ...(range === undefined ? {} : { range: { start: range.start, end } }),
  }).finally(bar.stop)
  const { byteLength, rebuiltShards, seconds } = result
  output.result({ ...result, file }, [
    `${file}: ${formatBytes(byteLength)} in ${seconds.toFixed(1)} s, verified against ${result.root}`,
    ...(rebuiltShards.length === 0 ? [] : [`rebuilt shards ${rebuiltShards.join(', ')} from parity`]),
  ])
}
