import { Command } from 'commander'
import {
  readBlobAt,
  readBlobHeader,
  readBlobRecord,
  readBlobTotal,
  readDaMoney,
} from '../../../sdk/chain/da.ts'
import { readActiveEpoch } from '../../../sdk/chain/da-committee.ts'
import { read } from '../../../sdk/chain/read.ts'
import { headerToJson } from '../../../sdk/protocol/blob-header.ts'
import { periodAt, periodStart } from '../../../sdk/protocol/clock.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { columnCount } from '../../../sdk/protocol/quorum.ts'
import { parseBlobId } from '../amount.ts'
import { type DaSession, withDaSession } from '../da-session.ts'
import { formatBytes, formatTable, formatWei, shortHex } from '../format.ts'
import type { Output } from '../output.ts'

const NEWEST_BLOBS = 10n

/** `zerog da status [BLOBID]`: one blob, or data availability at a glance. */
export function daStatusCommand(): Command {
  return new Command('status')
    .description('state of a blob, or of data availability as a whole')
    .argument('[blobId]', 'id of the blob', parseBlobId)
    .action(
      withDaSession((session, output, [blobId]: [string?]) =>
        blobId === undefined ? showAll(session, output) : showBlob(session, output, blobId),
      ),
    )
}

async function showBlob({ chain, signal }: DaSession, output: Output, blobId: string): Promise<void> {
  const record = await readBlobRecord(chain, blobId, { signal })
  if (record === undefined) throw new ZerogError('DA_UNKNOWN_BLOB')
  const header = await readBlobHeader(chain, { blobId, record }, { signal })
  const head = await read(chain.provider.getBlockNumber(), { signal })
  const isExpired = periodAt(chain.terms, BigInt(head)) >= record.expiresAt
  const signedColumns = columnCount(record.columns)
  const { softColumns, finalColumns } = chain.daTerms
  output.result({ blobId, ...record, signedColumns, isExpired, header: headerToJson(header) }, [
    `blob      ${blobId}, number ${record.number}`,
    `status    ${record.status.toUpperCase()}${isExpired ? ', expired' : ''}${record.convictedAtBlock === undefined ? '' : `; convicted at block ${record.convictedAtBlock}`}`,
    `columns   ${signedColumns} of 128 attested; SOFT needs ${softColumns}, FINAL ${finalColumns}`,
    `payload   ${formatBytes(header.payloadBytes)} in ${record.blobCount} KZG blobs, keccak256 ${header.payloadHash}`,
    `disperser ${record.disperser}, epoch ${record.epoch}, nonce ${record.nonce}`,
    `paid      ${formatWei(record.feeWei)} by ${record.payer} at block ${record.submittedAtBlock}`,
    `expires   period ${record.expiresAt}, at block ${periodStart(chain.terms, record.expiresAt)}`,
    ...(record.status === 'submitted' ? [`confirm   before block ${record.confirmBy}`] : []),
  ])
}

async function showAll({ chain, signal, wallet }: DaSession, output: Output): Promise<void> {
  const account = wallet?.address ?? chain.da.addresses.DataAvailability
  const [head, epoch, total, money] = await Promise.all([
    read(chain.provider.getBlockNumber(), { signal }),
    readActiveEpoch(chain, { signal }),
    readBlobTotal(chain, { signal }),
    readDaMoney(chain, account, { signal }),
  ])
  const numbers = Array.from({ length: Number(total < NEWEST_BLOBS ? total : NEWEST_BLOBS) }, (_, index) => {
    return total - BigInt(index)
  })
  const blobs = await Promise.all(
    numbers.map(async (number) => {
      const blobId = (await readBlobAt(chain, number, { signal })) ?? ''
      return { blobId, record: await readBlobRecord(chain, blobId, { signal }) }
    }),
  )
  const period = periodAt(chain.terms, BigInt(head))
  const credit = wallet === undefined ? {} : { creditWei: money.creditWei }
  const { potWei, accountedWei } = money
  output.result(
    { head, period, epoch, total, potWei, accountedWei, ...credit, terms: chain.daTerms, blobs },
    [
      `block ${head}, period ${period}, ${epoch === undefined ? 'no committee yet' : `committee of epoch ${epoch}`}`,
      `${total} blobs; fees, pot and credits ${formatWei(accountedWei)}, pot ${formatWei(potWei)}`,
      `price ${formatWei(chain.daTerms.pricePerBlobPeriodWei)} for 124 KiB and a period, ` +
        `${chain.daTerms.minRetentionPeriods} to ${chain.daTerms.maxRetentionPeriods} periods`,
      ...(wallet === undefined ? [] : [`yours ${formatWei(money.creditWei)}: zerog da withdraw`]),
      '',
      ...formatTable(
        ['number', 'blob', 'status', 'columns', 'KZG blobs', 'expires', 'disperser'],
        blobs.flatMap(({ blobId, record }) =>
          record === undefined
            ? []
            : [
                [
                  String(record.number),
                  blobId,
                  record.status.toUpperCase(),
                  String(columnCount(record.columns)),
                  String(record.blobCount),
                  String(record.expiresAt),
                  shortHex(record.disperser),
                ],
              ],
        ),
      ),
    ],
  )
}
