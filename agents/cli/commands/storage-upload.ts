import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { openPathSource } from '../../../sdk/client/file-source-node.ts'
import { uploadPath } from '../../../sdk/client/paths-node.ts'
import { createHashPool } from '../../../sdk/client/prepare-pool-node.ts'
import type { StateStore } from '../../../sdk/client/state-store.ts'
import { folderStateStore } from '../../../sdk/client/state-store-node.ts'
import { resumeUpload, type UploadProgress, type UploadResult } from '../../../sdk/client/upload.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { parseCount, parseNumber } from '../amount.ts'
import { formatBytes, formatWei, shortHex } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet, type Session, withSession } from '../session.ts'

type UploadOptions = { parity?: number; term?: bigint }

const UPLOAD_HELP = `
What is paid is remembered on chain and in ~/.zerog/uploads, so repeating the same command goes on and never pays twice.
A submission that is not sealed in time can be refunded: zerog storage refund TXSEQ.`

/** `zerog storage upload FILE`: pays once, spreads the shards, seals. Repeat it after any failure. */
export function uploadCommand(): Command {
  return withWish(new Command('upload'))
    .description('keep a file on the network; repeat it after any failure: it pays once and goes on')
    .argument('<file>', 'file')
    .addHelpText('after', UPLOAD_HELP)
    .action(
      withSession(async (session, output, [file]: [string], options: UploadOptions) => {
        const progress = uploadBars(output)
        const result = await uploadPath({ ...uploadOptions(session, progress, options), path: file })
          .finally(progress.stop)
          .catch((error) => tellPaid(output, file, error))
        showUpload(output, result)
      }),
    )
}

/** `zerog storage resume TXSEQ FILE`: goes on with a submission that was paid for anywhere. */
export function resumeCommand(): Command {
  return withWish(new Command('resume'))
    .description('go on with a submission that is paid for, also from another machine')
    .argument('<txSeq>', 'number of the submission', parseNumber('txSeq'))
    .argument('<file>', 'the same file')
    .action(
      withSession(async (session, output, [txSeq, file]: [bigint, string], options: UploadOptions) => {
        const progress = uploadBars(output)
        const source = await openPathSource(file)
        const pool = createHashPool(source)
        try {
          const wish = uploadOptions(session, progress, options)
          const result = await resumeUpload({ ...wish, txSeq, source, pool }).finally(progress.stop)
          showUpload(output, result)
        } finally {
          await pool.close()
          await source.close()
        }
      }),
    )
}

function withWish(command: Command): Command {
  return command
    .option('--parity <count>', 'parity shards: how many may be lost', parseCount('--parity', 4, 64))
    .option('--term <periods>', 'term in periods', parseNumber('--term'))
}

function uploadOptions(session: Session, progress: ReturnType<typeof uploadBars>, options: UploadOptions) {
  const { chain, signal } = session
  return {
    chain,
    signer: requireWallet(session),
    stateStore: uploadStore(chain.chainId),
    onProgress: progress.update,
    signal,
    ...(options.parity === undefined ? {} : { parityShards: options.parity }),
    ...(options.term === undefined ? {} : { termPeriods: options.term }),
  }
}

/** Payments are remembered per chain, so that a retry from anywhere finds them. */
export function uploadStore(chainId: bigint): StateStore {
  return folderStateStore(join(homedir(), '.zerog', 'uploads', String(chainId)))
}

/** Says what became of the money before the error does. */
function tellPaid(output: Output, file: string, error: unknown): never {
  const txSeq = isZerogError(error) ? error.meta.txSeq : undefined
  if (txSeq !== undefined) {
    output.note(`submission ${txSeq} is paid for and not sealed: run the same command again to go on`)
    output.note(`(elsewhere: zerog storage resume ${txSeq} ${file}; too late: zerog storage refund ${txSeq})`)
  }
  throw error
}

function showUpload(output: Output, result: UploadResult): void {
  output.result({ ...result }, [
    `root     ${result.root}`,
    `txSeq    ${result.txSeq}${result.resumed ? ' (paid by an earlier attempt)' : ''}`,
    `sealed   ${formatBytes(result.byteLength)} with ${result.custodians.length} providers until period ${result.expiresAt}`,
    `paid     ${formatWei(result.feeWei)}, bond ${formatWei(result.bondWei)}; gas ${result.gas.submit + result.gas.configure + result.gas.seal}`,
    `read it  zerog storage download ${result.root} FILE`,
  ])
}

/** Bars and notes for the stages of an upload. */
export function uploadBars(output: Output): { update: (progress: UploadProgress) => void; stop: () => void } {
  const bars = { prepare: output.bar('hashing ', 'MB'), send: output.bar('sending ', 'MB') }
  const full = new Set<string>()
  const updateBar = (stage: keyof typeof bars, doneBytes: number, totalBytes: number) => {
    // The end may be reported more than once; shards that move to another provider make it go on.
    const isFull = doneBytes === totalBytes
    if (isFull && full.has(stage)) return
    bars[stage].update(doneBytes, totalBytes)
    if (!isFull) {
      full.delete(stage)
      return
    }
    full.add(stage)
    bars[stage].stop()
  }
  return {
    update: (progress) => {
      switch (progress.stage) {
        case 'prepare':
        case 'send':
          updateBar(progress.stage, progress.doneBytes, progress.totalBytes)
          break
        case 'replaced':
          output.note(
            `${shortHex(progress.provider)} dropped out (${progress.code}): its shards go to another`,
          )
          break
        default:
          output.note({ pay: 'paying', sign: 'collecting signatures', seal: 'sealing' }[progress.stage])
      }
    },
    stop: () => {
      bars.prepare.stop()
      bars.send.stop()
    },
  }
}
