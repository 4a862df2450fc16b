import { Command } from 'commander'
import { readServicePage } from '../../../sdk/chain/compute.ts'
import { unlessRevert } from '../../../sdk/chain/decode-error.ts'
import { eachProvider, type StorageProvider } from '../../../sdk/chain/operators.ts'
import { read } from '../../../sdk/chain/read.ts'
import {
  type LineFigures,
  readFigures,
  readPrice,
  readRound,
  readSubmissionCount,
  readVault,
} from '../../../sdk/chain/storage.ts'
import { periodAt } from '../../../sdk/protocol/clock.ts'
import { findCompute } from '../compute-session.ts'
import { formatTable, formatWei, shortHex } from '../format.ts'
import type { Output } from '../output.ts'
import { type Session, withSession } from '../session.ts'

/** `zerog status`: the network at a glance, storage first. */
export function statusCommand(): Command {
  return new Command('status')
    .description(
      'the network at a glance: period, draws, money and providers of storage, services of compute (for blobs: zerog da status)',
    )
    .action(withSession(showStatus))
}

async function showStatus(session: Session, output: Output): Promise<void> {
  const { chain, provider, signal } = session
  const head = await read(provider.getBlockNumber(), { signal })
  const at = { blockTag: head, signal }
  const period = BigInt(periodAt(chain.terms, BigInt(head)))
  const [figures, vault, price, submissions, round] = await Promise.all([
    unlessRevert(readFigures(chain, at), 'LineBehind'),
    readVault(chain, at),
    readPrice(chain, at),
    readSubmissionCount(chain, at),
    readRound(chain, period, at),
  ])
  const providers: StorageProvider[] = []
  // Other operators serve other things.
  for await (const found of eachProvider(chain, at))
    if (found.endpoint !== '' || found.backingWei > 0n) providers.push(found)

  const compute = await readCompute(session, head)

  output.result(
    {
      chainId: chain.chainId,
      network: chain.book.network,
      head,
      period,
      round,
      figures,
      vault,
      price,
      submissions,
      providers,
      ...(compute && { compute }),
    },
    [
      `chain ${chain.chainId} (${chain.book.network}), block ${head}, period ${period}`,
      `submissions ${submissions}; audit line ${lineText(figures?.now)}; ` +
        (round.draws === 0 ? 'no round opened in this period' : `${round.draws} draws in this period`),
      `price ${formatWei(price.perSectorWei)} a sector for the default term`,
      `money: escrow ${formatWei(vault.escrowWei)}, streaming ${formatWei(vault.streamingWei)}, ` +
        `pot ${formatWei(vault.potWei)}, bonds ${formatWei(vault.bondsWei)}, credits ${formatWei(vault.creditsWei)}`,
      ...(compute === undefined
        ? []
        : [
            `compute: ${compute.services} services (zerog compute services), money ${formatWei(compute.accountedWei)}`,
          ]),
      '',
      ...formatTable(
        ['operator', 'stake behind storage', 'needed', 'state', 'endpoint'],
        providers.map((item) => [
          shortHex(item.operator),
          formatWei(item.backingWei),
          item.needWei === undefined ? 'pay unclaimed' : formatWei(item.needWei),
          item.suspended ? 'SUSPENDED' : 'ok',
          item.endpoint || '-',
        ]),
      ),
    ],
  )
}

function lineText(line: LineFigures | undefined): string {
  if (line === undefined) return 'not looked after for long'
  return `${line.live} live of ${line.end - line.tail} sectors`
}

/** How much of compute there is; undefined where it is not deployed. */
async function readCompute({ chain, signal }: Session, head: number) {
  const known = await findCompute(chain, signal)
  if (known === undefined) return undefined
  const { ledger, inference } = known.compute
  const at = { blockTag: head }
  const [{ total }, ledgerWei, inferenceWei] = await Promise.all([
    readServicePage(known, { offset: 0, limit: 1 }, { ...at, signal }),
    read(ledger.accountedWei(at), { signal }),
    read(inference.accountedWei(at), { signal }),
  ])
  return { services: total, accountedWei: ledgerWei + inferenceWei }
}
