import { DA_SERVICE, type DaChain } from '../../sdk/chain/da-chain.ts'
import { readActiveEpoch, readCommittee, readMembership } from '../../sdk/chain/da-committee.ts'
import { readOperator } from '../../sdk/chain/operators.ts'
import { readAllocation } from '../../sdk/chain/staking.ts'
import { balanceFinding, endpointFinding } from './examine-operator.ts'
import { type Finding, fail, ok, warn } from './finding.ts'
import { formatWei, formatWeiUp } from './format.ts'
import type { Session } from './session.ts'

/** Registration, balance, stake, bond, seats and endpoint of a DA operator, as the chain has them. */
export async function examineDaOperator(
  { config }: Pick<Session, 'config'>,
  chain: DaChain,
  operator: string,
): Promise<{ findings: Finding[]; endpoint: string }> {
  const { DaCommittee, DataAvailability } = chain.da.addresses
  const [known, balance, seats, bond, membership, columns] = await Promise.all([
    readOperator(chain, operator, { service: DA_SERVICE }),
    balanceFinding(chain, operator),
    readAllocation(chain, { operator, service: DaCommittee }),
    readAllocation(chain, { operator, service: DataAvailability }),
    readMembership(chain, operator),
    columnsOf(chain, operator),
  ])
  return {
    endpoint: known.endpoint,
    findings: [
      known.registered
        ? ok('operator', operator)
        : fail('operator', `${operator} is not registered`, 'run `zerog agent init da`'),
      balance,
      stakeFinding(seats.backingWei, chain.daTerms.minStakeWei),
      bondFinding(bond.backingWei, chain.daTerms.bondWei),
      seatFinding(membership, columns),
      endpointFinding({ registered: known.endpoint, configured: config.PUBLIC_URL, agent: 'da' }),
    ],
  }
}

/** Columns that an operator holds in the active committee; undefined when there is none. */
async function columnsOf(chain: DaChain, operator: string): Promise<number | undefined> {
  const epoch = await readActiveEpoch(chain)
  if (epoch === undefined) return undefined
  const { members } = await readCommittee(chain, epoch)
  return members.find((member) => member.operator === operator)?.columns.length ?? 0
}

function stakeFinding(backingWei: bigint, minStakeWei: bigint): Finding {
  const found = `${formatWei(backingWei)} behind its seats, a member needs ${formatWei(minStakeWei)}`
  if (backingWei >= minStakeWei) return ok('stake', found)
  const lacking = formatWeiUp(minStakeWei - backingWei).split(' ')[0]
  return fail('stake', found, `top it up: \`zerog stake deposit ${lacking} --allocate --service da\``)
}

function bondFinding(backingWei: bigint, bondWei: bigint): Finding {
  const found = `${formatWei(backingWei)} as a disperser's bond of ${formatWei(bondWei)}`
  if (backingWei >= bondWei) return ok('bond', found)
  const lacking = formatWeiUp(bondWei - backingWei).split(' ')[0]
  return warn(
    'bond',
    `${found}: it attests, but cannot publish`,
    `to disperse: \`zerog stake deposit ${lacking} --allocate --service disperser\``,
  )
}

function seatFinding(
  { slot, isOut }: { slot: number | undefined; isOut: boolean },
  columns: number | undefined,
): Finding {
  if (slot === undefined)
    return fail('committee', 'not a member', 'a running agent joins as soon as its stake suffices (DA_JOIN)')
  if (isOut) return fail('committee', `slot ${slot}, but OUT: slashed below the minimum`, 'add stake')
  if (columns === undefined)
    return warn('committee', `slot ${slot}; no committee has been formed yet`, 'wait for the next epoch')
  if (columns === 0)
    return warn('committee', `slot ${slot}, no column in this epoch`, 'wait for the next epoch, or add stake')
  return ok('committee', `slot ${slot}, ${columns} of 128 columns`)
}
