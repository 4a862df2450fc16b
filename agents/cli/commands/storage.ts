import { stat } from 'node:fs/promises'
import { Command } from 'commander'
import { read } from '../../../sdk/chain/read.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { refundCall, reinstateCall, withdrawCall } from '../../../sdk/chain/storage-calls.ts'
import { openPathSource } from '../../../sdk/client/file-source-node.ts'
import { prepareFile } from '../../../sdk/client/prepare.ts'
import { createHashPool } from '../../../sdk/client/prepare-pool-node.ts'
import { quoteUpload } from '../../../sdk/client/price.ts'
import { DEFAULT_PARITY } from '../../../sdk/protocol/deal-price.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseCount, parseNumber } from '../amount.ts'
import { formatBytes, formatSeconds, formatWei } from '../format.ts'
import { createOutput, type Output } from '../output.ts'
import { type GlobalOptions, requireWallet, type Session, withSession } from '../session.ts'
import { downloadCommand } from './storage-download.ts'
import { listCommand } from './storage-list.ts'
import { fileStatusCommand } from './storage-status.ts'
import { resumeCommand, uploadCommand } from './storage-upload.ts'

/** `zerog storage …`: files on the network. */
export function storageCommand(): Command {
  const storage = new Command('storage').description('keep files on the network and read them back')
  storage.addCommand(rootCommand())
  storage.addCommand(priceCommand())
  storage.addCommand(uploadCommand())
  storage.addCommand(resumeCommand())
  storage.addCommand(downloadCommand())
  storage.addCommand(fileStatusCommand())
  storage.addCommand(listCommand())
  storage
    .command('refund')
    .description('return the fee of a submission that was not sealed in time to its owner')
    .argument('<txSeq>', 'number of the submission', parseNumber('txSeq'))
    .action(withSession(refund))
  storage
    .command('withdraw')
    .description('send what storage owes you: refunds, bonds, pay')
    .option('--to <address>', 'receiver; yourself by default', parseAddress)
    .action(withSession(withdraw))
  storage
    .command('reinstate')
    .description(
      'lift your own suspension once strikes have aged out and the stake suffices; a running agent does it',
    )
    .action(withSession(reinstate))
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
    .argument('<file|bytes>', 'a file (./123 if its name is a number) or a number of bytes')
    .option('--parity <count>', 'parity shards', parseCount('--parity', 4, 64))
    .option('--term <periods>', 'term in periods', parseNumber('--term'))
    .action(withSession(showPrice))
}

async function showPrice(
  { chain, signal }: Session,
  output: Output,
  [subject]: [string],
  options: { parity?: number; term?: bigint },
): Promise<void> {
  const byteLength = await sizeOf(subject)
  const quote = await quoteUpload(chain, {
    byteLength,
    signal,
    ...(options.parity === undefined ? {} : { parityShards: options.parity }),
    ...(options.term === undefined ? {} : { termPeriods: options.term }),
  })
  const { layout, ...rest } = quote
  const head = BigInt(await read(chain.provider.getBlockNumber(), { signal }))
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

/** Bytes of a file, or the number itself; a file whose name is a number is written `./123`. */
async function sizeOf(subject: string): Promise<number> {
  if (/^\d+$/.test(subject)) return Number(subject)
  const found = await stat(subject).catch((cause) => {
    throw new ZerogError('FILE_MISSING', `${subject} cannot be read`, { cause })
  })
  if (found.isFile()) return found.size
  throw new ZerogError('FILE_MISSING', `${subject} is not a regular file`)
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

async function reinstate(session: Session, output: Output): Promise<void> {
  const wallet = requireWallet(session)
  const sender = await signerSender(session.chain, wallet)
  const call = reinstateCall(session.chain, wallet.address)
  const receipt = await sendCall(sender, { ...call, label: 'reinstate', signal: session.signal })
  output.result({ operator: wallet.address, transaction: receipt.hash }, [`reinstated: ${receipt.hash}`])
}
