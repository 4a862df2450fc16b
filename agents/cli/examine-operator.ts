import type { Chain } from '../../sdk/chain/connect.ts'
import { readOperator } from '../../sdk/chain/operators.ts'
import { read } from '../../sdk/chain/read.ts'
import { readAllocation } from '../../sdk/chain/staking.ts'
import { readProviderStream, readStrikes } from '../../sdk/chain/storage.ts'
import { type Finding, fail, ok, warn } from './finding.ts'
import { formatWei, formatWeiUp } from './format.ts'
import type { Session } from './session.ts'

const STALE_HEAD_SEC = 120
/** Gas of some thirty answers: less is a few hours of them on a busy day. */
const LOW_BALANCE_GAS = 5_000_000n

/** Whether the node is of today, and the contracts are where the address book says. */
export async function examineChain({ chain, provider }: Session): Promise<Finding[]> {
  const [head, code] = await read(
    Promise.all([provider.getBlock('latest'), provider.getCode(chain.book.contracts.StorageProver.address)]),
  )
  const ageSec = head === null ? Number.POSITIVE_INFINITY : Date.now() / 1000 - head.timestamp
  return [
    ok('chain', `id ${chain.chainId}, block ${head?.number ?? '?'}`),
    ageSec < STALE_HEAD_SEC
      ? ok('head', `${Math.max(0, Math.round(ageSec))} s old`)
      : fail(
          'head',
          `the newest block is ${Math.round(ageSec)} s old`,
          'the RPC node lags or is stuck, or the clock of this machine is wrong: compare with an explorer',
        ),
    code === '0x'
      ? fail('contracts', 'no code at the addresses', 'set ADDRESS_BOOK to the deployment of this chain')
      : ok('contracts', `deployed (${chain.book.network})`),
  ]
}

/** Registration, balance, stake, strikes and endpoint of an operator, as the chain has them. */
export async function examineOperator(
  { chain, config }: Session,
  operator: string,
): Promise<{ findings: Finding[]; endpoint: string }> {
  const [known, balance, { backingWei }, stream, strikes] = await Promise.all([
    readOperator(chain, operator),
    balanceFinding(chain, operator),
    readAllocation(chain, { operator }),
    readProviderStream(chain, operator),
    readStrikes(chain, operator),
  ])
  return {
    endpoint: known.endpoint,
    findings: [
      known.registered
        ? ok('operator', operator)
        : fail('operator', `${operator} is not registered`, 'run `zerog agent init storage`'),
      balance,
      stakeFinding(backingWei, stream.needWei),
      standingFinding(stream.suspended, strikes, chain.terms.maxStrikes),
      endpointFinding({ registered: known.endpoint, configured: config.PUBLIC_URL, agent: 'storage' }),
    ],
  }
}

/** Whether an operator can pay for the answers of some hours. */
export async function balanceFinding({ provider }: Chain, operator: string): Promise<Finding> {
  const [balanceWei, fees] = await read(Promise.all([provider.getBalance(operator), provider.getFeeData()]))
  const lowWei = LOW_BALANCE_GAS * (fees.maxFeePerGas ?? fees.gasPrice ?? 0n)
  if (balanceWei >= lowWei) return ok('balance', formatWei(balanceWei))
  return fail(
    'balance',
    `${formatWei(balanceWei)} left for gas`,
    `send at least ${formatWeiUp(lowWei - balanceWei)} to ${operator}: without gas it meets no duty`,
  )
}

function stakeFinding(backingWei: bigint, needWei: bigint | undefined): Finding {
  if (needWei === undefined) {
    return fail(
      'stake',
      `${formatWei(backingWei)} behind storage; what custody needs is not known while pay lies unclaimed for so long`,
      'keep the agent running: it claims, and new custody is possible again',
    )
  }
  const found = `${formatWei(backingWei)} behind storage, custody needs ${formatWei(needWei)}`
  if (backingWei === 0n)
    return fail('stake', found, 'nobody seals with it: run `zerog stake deposit AMOUNT --allocate`')
  if (backingWei < needWei) {
    const lacking = formatWeiUp(needWei - backingWei).split(' ')[0]
    return fail('stake', found, `top it up: \`zerog stake deposit ${lacking} --allocate\``)
  }
  if (backingWei < (needWei * 5n) / 4n)
    return warn('stake', found, 'little room for new deals: consider `zerog stake deposit AMOUNT --allocate`')
  return ok('stake', found)
}

function standingFinding(suspended: boolean, strikes: number | bigint, maxStrikes: bigint): Finding {
  if (suspended) {
    return fail(
      'standing',
      `suspended with ${strikes} strikes: no pay and no new custody`,
      BigInt(strikes) < maxStrikes
        ? 'top up the stake if it is short; then a running agent asks to be reinstated (or: `zerog storage reinstate`)'
        : 'find out why draws were missed (log, disk, RPC); keep it running until strikes have aged out, it then asks to be reinstated',
    )
  }
  if (BigInt(strikes) > 0n)
    return warn(
      'standing',
      `${strikes} of ${maxStrikes} strikes`,
      'draws were missed: look for answer-draw in the log',
    )
  return ok('standing', 'no strikes')
}

/** Whether clients are sent to where the agent is. */
export function endpointFinding({
  registered,
  configured,
  agent,
}: {
  registered: string
  configured: string | undefined
  agent: 'storage' | 'da'
}): Finding {
  if (registered === '')
    return fail(
      'endpoint',
      'no URL is registered: clients cannot find it',
      `run \`zerog agent init ${agent} --public-url URL\``,
    )
  if (configured === undefined || configured === registered.replace(/\/+$/, ''))
    return ok('endpoint', registered)
  return fail(
    'endpoint',
    `clients are sent to ${registered}, PUBLIC_URL is ${configured}`,
    `correct PUBLIC_URL, or register it: \`zerog agent init ${agent} --public-url ${configured}\``,
  )
}
