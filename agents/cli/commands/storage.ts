import { stat } from 'node:fs/promises'
import { Command } from 'commander'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { refundCall, withdrawCall } from '../../../sdk/chain/storage-calls.ts'
import { openPathSource } from '../../../sdk/client/file-source-node.ts'
import { prepareFile } from '../../../sdk/client/prepare.ts'
import { createHashPool } from '../../../sdk/client/prepare-pool-node.ts'
import { quoteUpload } from '../../../sdk/client/price.ts'
import { DEFAULT_PARITY } from '../../../sdk/protocol/deal-price.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseCount } from '../amount.ts'
import { formatBytes, formatSeconds, formatWei } from '../format.ts'
import { createOutput, type Output } from '../output.ts'
import { type GlobalOptions, requireWallet, type Session, withSession } from '../session.ts'
import { downloadCommand } from './storage-download.ts'
import { listCommand } from './storage-list.ts'
import { fileStatusCommand } from './storage-status.ts'
import { uploadCommand } from './storage-upload.ts'

/** `zerog storage …`: files on the network. */
export function storageCommand(): Command {
  const storage = new Command('storage').description('keep files on the network and read them back')
  storage.addCommand(rootCommand())
  storage.addCommand(priceCommand())
  storage.addCommand(uploadCommand())
  storage.addCommand(downloadCommand())
  storage.addCommand(fileStatusCommand())
  storage.addCommand(listCommand())
  storage
    .command('refund')
    .description('return the fee of a submission that was not sealed in time to its owner')
    .argument('<txSeq>', 'number of the submission', parseTxSeq)
    .action(withSession(refund))
  storage
    .command('withdraw')
    .description('send what storage owes you: refunds, bonds, pay')
    .option('--to <address>', 'receiver; yourself by default', parseAddress)
    .action(withSession(withdraw))
  return storage
}

function rootCommand(): Command {
  return new Command('root')
    .description('root of a file, as the public 0G clients compute it; works offline')
    .argument('<file>', 'file')
    .action(async (file: string, _options: unknown, command: Command) => {
      const output = createOutput({ json: (command.optsWithGlobals() as GlobalOptions).json === true })
      const source = await openPathSource(file)
      const pool = createHashPool(source)
      const bar = output.bar('hashing', 'MB')
      try {
        const prepared = await prepareFile({
          source,
          parityShards: DEFAULT_PARITY,
          pool,
          onProgress: ({ doneBytes, totalBytes }) => bar.update(doneBytes, totalBytes),
        })
        bar.stop()
        const { root, submission, layout } = prepared
        output.result(
          {
            root,
            byteLength: layout.byteLength,
            paddedSectors: layout.paddedSectors,
            nodes: submission.nodes,
          },
          [root],
        )
      } finally {
        bar.stop()
        await pool.close()
        await source.close()
      }
    })
}

function priceCommand(): Command {
  return new Command('price')
    .description('what it costs to keep a file, or that many bytes')
    .argument('<file|bytes>', 'a file or a number of bytes')
    .option('--parity <count>', 'parity shards', parseCount('--parity', 4, 64))
    .option('--term <periods>', 'term in periods', BigInt)
    .action(withSession(showPrice))
}

async function showPrice(
  { chain, signal }: Session,
  output: Output,
  [subject]: [string],
  options: { parity?: number; term?: bigint },
): Promise<void> {
  const byteLength = /^\d+$/.test(subject) ? Number(subject) : await sizeOf(subject)
  const quote = await quoteUpload(chain, {
    byteLength,
    signal,
    ...(options.parity === undefined ? {} : { parityShards: options.parity }),
    ...(options.term === undefined ? {} : { termPeriods: options.term }),
  })
  const { layout, ...rest } = quote
  const head = BigInt(await chain.provider.getBlockNumber())
  const termBlocks = Number(quote.expiresAtBlock - head)
  const secondsPerBlock = await blockSeconds(chain.provider, Number(head))
  output.result({ byteLength, ...rest, dataShards: layout.dataShards, shardSectors: layout.shardSectors }, [
    `file       ${formatBytes(byteLength)}, ${layout.dataShards} data + ${quote.parityShards} parity shards`,
    `fee        ${formatWei(quote.feeWei + quote.topUpWei)} for about ${formatSeconds(termBlocks * secondsPerBlock)}`,
    `bond       ${formatWei(quote.bondWei)}, back when the deal ends`,
    `together   ${formatWei(quote.totalWei)} and gas`,
  ])
}

/** Mean seconds between the last blocks. */
async function blockSeconds(provider: Session['chain']['provider'], head: number): Promise<number> {
  const span = Math.min(100, head)
  if (span === 0) return 1
  const [last, first] = await Promise.all([provider.getBlock(head), provider.getBlock(head - span)])
  return last === null || first === null ? 1 : (last.timestamp - first.timestamp) / span
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (cause) {
    throw new ZerogError('FILE_MISSING', `${file} cannot be read`, { cause })
  }
}

async function refund(session: Session, output: Output, [txSeq]: [bigint]): Promise<void> {
  const sender = await signerSender(session.chain, requireWallet(session))
  const receipt = await sendCall(sender, {
    ...refundCall(session.chain, txSeq),
    label: `refund-${txSeq}`,
    signal: session.signal,
  })
  output.result({ txSeq, transaction: receipt.hash }, [
    `refunded ${txSeq}: ${receipt.hash}`,
    'the owner takes it with: zerog storage withdraw',
  ])
}

async function withdraw(
  session: Session,
  output: Output,
  _args: [],
  options: { to?: string },
): Promise<void> {
  const wallet = requireWallet(session)
  const sender = await signerSender(session.chain, wallet)
  const call = withdrawCall(session.chain, options.to ?? wallet.address)
  const receipt = await sendCall(sender, { ...call, label: 'withdraw', signal: session.signal })
  output.result({ transaction: receipt.hash }, [`withdrawn: ${receipt.hash}`])
}

function parseTxSeq(text: string): bigint {
  if (/^\d+$/.test(text)) return BigInt(text)
  throw new ZerogError('BAD_REQUEST', `"${text}" is not the number of a submission`)
}
