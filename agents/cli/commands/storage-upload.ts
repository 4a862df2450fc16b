import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { uploadPath } from '../../../sdk/client/paths-node.ts'
import { folderStateStore } from '../../../sdk/client/state-store-node.ts'
import type { UploadProgress } from '../../../sdk/client/upload.ts'
import { parseCount } from '../amount.ts'
import { formatBytes, formatWei, shortHex } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet, type Session, withSession } from '../session.ts'

type UploadOptions = { parity?: number; term?: bigint }

/** `zerog storage upload FILE`: pays once, spreads the shards, seals. Repeat it after any failure. */
export function uploadCommand(): Command {
  return new Command('upload')
    .description('keep a file on the network; repeat it after any failure: it pays once and goes on')
    .argument('<file>', 'file')
    .option('--parity <count>', 'parity shards: how many may be lost', parseCount('--parity', 4, 64))
    .option('--term <periods>', 'term in periods', BigInt)
    .action(
      withSession((session, output, [file]: [string], options: UploadOptions) =>
        upload(session, output, file, options),
      ),
    )
}

async function upload(session: Session, output: Output, file: string, options: UploadOptions): Promise<void> {
  const { chain, signal } = session
  const progress = uploadBars(output)
  const result = await uploadPath({
    chain,
    path: file,
    signer: requireWallet(session),
    // A payment is remembered per chain, so that a retry from anywhere finds it.
    stateStore: folderStateStore(join(homedir(), '.zerog', 'uploads', String(chain.chainId))),
    onProgress: progress.update,
    signal,
    ...(options.parity === undefined ? {} : { parityShards: options.parity }),
    ...(options.term === undefined ? {} : { termPeriods: options.term }),
  }).finally(progress.stop)
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
  return {
    update: (progress) => {
      switch (progress.stage) {
        case 'prepare':
        case 'send':
          bars[progress.stage].update(progress.doneBytes, progress.totalBytes)
          if (progress.doneBytes === progress.totalBytes) bars[progress.stage].stop()
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
