import { Command } from 'commander'
import {
  readActiveEpoch,
  readCommittee,
  readDaEndpoints,
  readMembership,
} from '../../../sdk/chain/da-committee.ts'
import { readAllocation } from '../../../sdk/chain/staking.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseNumber } from '../amount.ts'
import { type DaSession, withDaSession } from '../da-session.ts'
import { formatTable, formatWei } from '../format.ts'
import type { Output } from '../output.ts'

/** `zerog da committee`: who attests, with how many of the 128 seats. */
export function committeeCommand(): Command {
  return new Command('committee')
    .description('the committee: members, seats, columns, stake and endpoints')
    .option('--epoch <number>', 'epoch; the active one by default', parseNumber('--epoch'))
    .action(
      withDaSession((session, output, _args: [], options: { epoch?: bigint }) =>
        showCommittee(session, output, options),
      ),
    )
}

async function showCommittee(
  { chain, signal }: DaSession,
  output: Output,
  options: { epoch?: bigint },
): Promise<void> {
  const epoch = options.epoch ?? (await readActiveEpoch(chain, { signal }))
  if (epoch === undefined)
    throw new ZerogError('DA_WRONG_EPOCH', 'no committee has been formed yet', { retryable: true })
  const committee = await readCommittee(chain, epoch, { signal })
  const operators = committee.members.map(({ operator }) => operator)
  const endpoints = await readDaEndpoints(chain, operators, { signal })
  const service = chain.da.addresses.DaCommittee
  const members = await Promise.all(
    committee.members.map(async ({ slot, operator, columns }) => {
      const [{ isOut }, { backingWei }] = await Promise.all([
        readMembership(chain, operator, { signal }),
        readAllocation(chain, { operator, service }, { signal }),
      ])
      return { slot, operator, columns, isOut, backingWei, endpoint: endpoints.get(operator) ?? '' }
    }),
  )
  output.result({ epoch, seatWei: committee.seatWei, keySet: committee.keySet, members }, [
    `epoch ${epoch}: ${members.length} members, a seat is ${formatWei(committee.seatWei)}`,
    '',
    ...formatTable(
      ['slot', 'operator', 'columns', 'stake', 'state', 'endpoint'],
      members.map(({ slot, operator, columns, backingWei, isOut, endpoint }) => [
        String(slot),
        operator,
        String(columns.length),
        formatWei(backingWei),
        isOut ? 'OUT' : 'ok',
        endpoint || '-',
      ]),
    ),
  ])
}
