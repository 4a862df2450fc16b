import { Command } from 'commander'
import { createPathSink } from '../../../sdk/client/file-sink-node.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { readBlob } from '../../../sdk/client/read-blob.ts'
import { parseBlobId } from '../amount.ts'
import { type DaSession, withDaSession } from '../da-session.ts'
import { formatBytes, shortHex } from '../format.ts'
import type { Output } from '../output.ts'

type ReadOptions = { force?: boolean }

const HELP = `
Any 64 of the 128 columns restore it. Every cell is verified before use, whoever sends wrong ones is passed over and named.
Bytes that are no canonical encoding give DA_INVALID_BLOB: the same verdict for every reader, and no file.`

/** `zerog da read BLOBID FILE`: the file appears whole or not at all. */
export function readCommand(): Command {
  return new Command('read')
    .description('read a blob back from any 64 columns; every cell is verified')
    .argument('<blobId>', 'id of the blob', parseBlobId)
    .argument('<file>', 'where to write it')
    .option('--force', 'overwrite the file')
    .addHelpText('after', HELP)
    .action(
      withDaSession((session, output, [blobId, file]: [string, string], options: ReadOptions) =>
        readToFile(session, output, { blobId, file, options }),
      ),
    )
}

async function readToFile(
  { chain, signal }: DaSession,
  output: Output,
  { blobId, file, options }: { blobId: string; file: string; options: ReadOptions },
): Promise<void> {
  const sink = await createPathSink(file, { overwrite: options.force === true })
  const bars = { columns: output.bar('columns ', 'columns'), decoding: output.bar('decoding', 'blobs') }
  const startedMs = performance.now()
  try {
    const result = await readBlob({
      chain,
      blobId,
      kzg: await loadNodeKzg(),
      transport: nodeTransport,
      onProgress: ({ step, done, total }) => {
        if (step === 'decoding') bars.columns.stop()
        bars[step].update(done, total)
      },
      signal,
    })
    await sink.write(0, result.payload)
    await sink.commit()
    bars.decoding.stop()
    const seconds = (performance.now() - startedMs) / 1000
    const { payload, columns, isRebuilt, faults } = result
    output.result({ blobId, file, byteLength: payload.length, columns, isRebuilt, faults, seconds }, [
      `${file}: ${formatBytes(payload.length)} in ${seconds.toFixed(1)} s, verified against ${blobId}`,
      ...(isRebuilt ? ['restored from parity: some data columns could not be had'] : []),
      ...faults.map(({ operator, code }) => `passed over ${shortHex(operator)}: ${code}`),
    ])
  } finally {
    bars.columns.stop()
    bars.decoding.stop()
    await sink.discard()
  }
}
