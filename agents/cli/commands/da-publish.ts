import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { readRetentionBounds } from '../../../sdk/chain/da-retention.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { type PublishProgress, type PublishResult, publishBlob } from '../../../sdk/client/publish-blob.ts'
import { folderStateStore } from '../../../sdk/client/state-store-node.ts'
import { MAX_PAYLOAD_BYTES } from '../../../sdk/protocol/blob.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseNumber } from '../amount.ts'
import { type DaSession, withDaSession } from '../da-session.ts'
import { formatBytes, formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'

type PublishOptions = { retention?: bigint; soft?: boolean; disperser?: string; check?: boolean }

const HELP = `
FINAL: holders of 5/6 of the columns have attested the data, so it is there as long as less than 1/3 of the columns are in
bad hands; SOFT: 2/3, good against less than 1/6. What is asked and paid is remembered in ~/.zerog/blobs: repeating the
command goes on and never pays twice. A blob that was not confirmed in time can be refunded: zerog da refund BLOBID.`

/** `zerog da publish FILE`: has a disperser encode it, pays, waits for the quorum. Repeat it after any failure. */
export function publishCommand(): Command {
  return new Command('publish')
    .description('publish a file of at most 32.5 MB; repeat it after any failure: it pays once and goes on')
    .argument('<file>', 'file')
    .option('--retention <periods>', 'periods to keep it; the longest by default', parseNumber('--retention'))
    .option('--soft', 'be content with the SOFT quorum')
    .option('--disperser <operator>', 'operator to ask; any member of the committee by default', parseAddress)
    .option('--check', 'encode the file here too, and pay only for a header that is right')
    .addHelpText('after', HELP)
    .action(
      withDaSession((session, output, [file]: [string], options: PublishOptions) =>
        publish(session, output, { file, options }),
      ),
    )
}

async function publish(
  session: DaSession,
  output: Output,
  { file, options }: { file: string; options: PublishOptions },
): Promise<void> {
  const { chain, signal } = session
  const signer = requireWallet(session)
  const payload = await readPayloadFile(file)
  const retentionPeriods = options.retention ?? (await longestRetention(session))
  const progress = publishNotes(output)
  const result = await publishBlob({
    chain,
    payload,
    retentionPeriods,
    signer,
    until: options.soft === true ? 'soft' : 'final',
    stateStore: folderStateStore(join(homedir(), '.zerog', 'blobs', String(chain.chainId))),
    transport: nodeTransport,
    onProgress: progress.update,
    signal,
    ...(options.disperser === undefined ? {} : { disperser: options.disperser }),
    ...(options.check === true ? { kzg: await loadNodeKzg() } : {}),
  }).finally(progress.stop)
  showPublished(output, file, result)
}

/** The bytes of a file that a blob can carry. Errors: FILE_MISSING, DA_PAYLOAD_TOO_LARGE, DA_EMPTY_PAYLOAD. */
async function readPayloadFile(file: string): Promise<Uint8Array> {
  const found = await stat(file).catch((cause) => {
    throw new ZerogError('FILE_MISSING', `${file} cannot be read`, { cause })
  })
  if (!found.isFile()) throw new ZerogError('FILE_MISSING', `${file} is not a regular file`)
  if (found.size > MAX_PAYLOAD_BYTES)
    throw new ZerogError(
      'DA_PAYLOAD_TOO_LARGE',
      `${file} has ${formatBytes(found.size)}, a blob carries ${formatBytes(MAX_PAYLOAD_BYTES)}`,
    )
  if (found.size === 0) throw new ZerogError('DA_EMPTY_PAYLOAD', `${file} is empty`)
  return await readFile(file)
}

async function longestRetention({ chain, signal }: DaSession): Promise<bigint> {
  const { currentPeriod, latestExpiry } = await readRetentionBounds(chain, { signal })
  if (latestExpiry > currentPeriod) return latestExpiry - currentPeriod
  throw new ZerogError('DA_WRONG_EPOCH', 'no committee has been formed yet, or the last one is too old')
}

function showPublished(output: Output, file: string, result: PublishResult): void {
  const { blobId, header, record, feeWei, gasUsed, seconds, resumed } = result
  const all = seconds.disperse + seconds.pay + seconds.confirm
  output.result({ ...result, file }, [
    `blob      ${blobId}${resumed ? ' (asked for by an earlier attempt)' : ''}`,
    `status    ${record.status.toUpperCase()} after ${all.toFixed(1)} s: dispersed ${seconds.disperse.toFixed(1)}, ` +
      `paid ${seconds.pay.toFixed(1)}, confirmed ${seconds.confirm.toFixed(1)}`,
    `size      ${formatBytes(header.payloadBytes)} in ${header.blobCount} KZG blobs, kept until period ${header.expiresAt}`,
    feeWei === 0n ? 'paid      by the disperser' : `paid      ${formatWei(feeWei)}, gas ${gasUsed}`,
    `check it  zerog da sample ${blobId}`,
    `read it   zerog da read ${blobId} FILE`,
  ])
}

/** Notes for the stages of a publication. */
export function publishNotes(output: Output): {
  update: (progress: PublishProgress) => void
  stop: () => void
} {
  const bar = output.bar('signing ', 'columns')
  return {
    update: (progress) => {
      switch (progress.stage) {
        case 'disperse':
          output.note('a disperser encodes')
          break
        case 'pay':
          output.note(`blob ${progress.blobId}`)
          break
        case 'confirm':
          bar.update(progress.signedColumns, 128)
          break
      }
    },
    stop: bar.stop,
  }
}
