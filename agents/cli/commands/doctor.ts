import { statfs } from 'node:fs/promises'
import { Command } from 'commander'
import { readOperator } from '../../../sdk/chain/operators.ts'
import { readAllocation } from '../../../sdk/chain/staking.ts'
import { readProviderStream, readStrikes } from '../../../sdk/chain/storage.ts'
import { errorCode } from '../../../sdk/protocol/errors.ts'
import { formatBytes, formatWei } from '../format.ts'
import { createOutput, type Output } from '../output.ts'
import { type GlobalOptions, openSession, requireWallet, type Session } from '../session.ts'

/** What one examination found. `mend` says what to do about it. */
type Finding = { check: string; state: 'ok' | 'warn' | 'fail'; found: string; mend?: string }

const FETCH_TIMEOUT_MS = 5_000
const STALE_HEAD_SEC = 120
const LOW_BALANCE_GAS = 2_000_000n
const LOW_DISK_BYTES = 1_000_000_000

/** `zerog doctor`: finds what is wrong with an agent and says how to mend it. Exit code 1 when something fails. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'examine a running agent: chain, key, stake, reachability, disk; says how to mend what is wrong',
    )
    .option('--url <url>', "URL of the agent; PUBLIC_URL or the registry's by default")
    .action(async (options: { url?: string }, command: Command) => {
      const globals = command.optsWithGlobals() as GlobalOptions
      const output = createOutput({ json: globals.json === true })
      const findings = await examine({ ...globals, ...options }, output)
      const failed = findings.some(({ state }) => state === 'fail')
      output.result({ healthy: !failed, findings }, findings.flatMap(lines))
      process.exitCode = failed ? 1 : 0
    })
}

function lines({ check, state, found, mend }: Finding): string[] {
  const mark = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' }[state]
  return [
    `${mark}  ${check.padEnd(12)} ${found}`,
    ...(mend === undefined ? [] : [`      ${''.padEnd(12)} -> ${mend}`]),
  ]
}

async function examine(options: GlobalOptions & { url?: string }, output: Output): Promise<Finding[]> {
  let opened: Awaited<ReturnType<typeof openSession>>
  try {
    opened = await openSession(options, output)
  } catch (error) {
    return [connectionFinding(error)]
  }
  const { session, close } = opened
  try {
    const groups = await Promise.all([
      examineChain(session),
      session.wallet === undefined
        ? [keyMissing]
        : examineOperator(session, requireWallet(session).address, options.url),
      examineDisk(session.config.DATA_DIR),
    ])
    return groups.flat()
  } finally {
    close()
  }
}

const keyMissing: Finding = {
  check: 'key',
  state: 'fail',
  found: 'no key is configured',
  mend: 'set KEYSTORE_FILE and KEYSTORE_PASSWORD_FILE, or run `zerog agent init storage`',
}

function connectionFinding(error: unknown): Finding {
  const found = error instanceof Error ? error.message : String(error)
  const mends: Partial<Record<string, string>> = {
    RPC_UNREACHABLE: 'check RPC_URL and the node behind it',
    WRONG_CHAIN: 'RPC_URL and the address book must be of the same chain',
    ADDRESS_BOOK_INVALID: 'set ADDRESS_BOOK to the deployment of this chain',
    KEYSTORE_INVALID: 'check KEYSTORE_FILE and its password',
    CONFIG_INVALID: 'correct the environment or .env; `.env.example` lists every variable',
  }
  return { check: 'connection', state: 'fail', found, mend: mends[errorCode(error)] ?? 'see the message' }
}

async function examineChain({ chain, provider }: Session): Promise<Finding[]> {
  const [head, code] = await Promise.all([
    provider.getBlock('latest'),
    provider.getCode(chain.book.contracts.StorageProver.address),
  ])
  const ageSec = head === null ? Number.POSITIVE_INFINITY : Date.now() / 1000 - head.timestamp
  return [
    { check: 'chain', state: 'ok', found: `id ${chain.chainId}, block ${head?.number ?? '?'}` },
    ageSec < STALE_HEAD_SEC
      ? { check: 'head', state: 'ok', found: `${Math.max(0, Math.round(ageSec))} s old` }
      : {
          check: 'head',
          state: 'fail',
          found: `the newest block is ${Math.round(ageSec)} s old`,
          mend: 'the RPC node lags or is stuck, or the clock of this machine is wrong',
        },
    code === '0x'
      ? {
          check: 'contracts',
          state: 'fail',
          found: 'no code at the addresses',
          mend: 'take the right ADDRESS_BOOK',
        }
      : { check: 'contracts', state: 'ok', found: 'deployed' },
  ]
}

async function examineOperator(session: Session, operator: string, url?: string): Promise<Finding[]> {
  const { chain, provider } = session
  const [known, balanceWei, fees, { backingWei }, stream, strikes] = await Promise.all([
    readOperator(chain, operator),
    provider.getBalance(operator),
    provider.getFeeData(),
    readAllocation(chain, { operator }),
    readProviderStream(chain, operator),
    readStrikes(chain, operator),
  ])
  const lowWei = LOW_BALANCE_GAS * (fees.maxFeePerGas ?? fees.gasPrice ?? 0n)
  const publicUrl = url ?? session.config.PUBLIC_URL ?? known.endpoint
  return [
    known.registered
      ? { check: 'operator', state: 'ok', found: operator }
      : {
          check: 'operator',
          state: 'fail',
          found: `${operator} is not registered`,
          mend: 'run `zerog agent init storage`',
        },
    balanceWei >= lowWei
      ? { check: 'balance', state: 'ok', found: formatWei(balanceWei) }
      : {
          check: 'balance',
          state: 'fail',
          found: formatWei(balanceWei),
          mend: `send coins to ${operator}: it pays for answers`,
        },
    stakeFinding(backingWei, stream.needWei),
    stream.suspended
      ? {
          check: 'standing',
          state: 'fail',
          found: `suspended with ${strikes} strikes: no pay, no new custody`,
          mend: 'mend the cause, top up stake if it is short, wait until strikes age out: the agent then asks to be reinstated, or run `zerog storage reinstate`',
        }
      : strikes > 0
        ? {
            check: 'standing',
            state: 'warn',
            found: `${strikes} strikes`,
            mend: 'look for "answer" errors in the log',
          }
        : { check: 'standing', state: 'ok', found: 'no strikes' },
    known.endpoint === publicUrl
      ? { check: 'endpoint', state: 'ok', found: known.endpoint || '-' }
      : {
          check: 'endpoint',
          state: 'fail',
          found: `registered ${known.endpoint || 'nothing'}, configured ${publicUrl}`,
          mend: 'run `zerog agent init storage --public-url URL`',
        },
    await examineAgent(publicUrl),
  ]
}

function stakeFinding(backingWei: bigint, needWei: bigint): Finding {
  const found = `${formatWei(backingWei)} behind storage, ${formatWei(needWei)} needed`
  if (backingWei === 0n)
    return { check: 'stake', state: 'fail', found, mend: 'run `zerog stake deposit AMOUNT --allocate`' }
  if (backingWei < needWei)
    return { check: 'stake', state: 'fail', found, mend: 'top up: `zerog stake deposit AMOUNT --allocate`' }
  if (backingWei < (needWei * 5n) / 4n)
    return { check: 'stake', state: 'warn', found, mend: 'little room for new deals: consider a top-up' }
  return { check: 'stake', state: 'ok', found }
}

/** Asks the agent itself: /ready names what it waits for. */
async function examineAgent(url: string): Promise<Finding> {
  if (url === '') return { check: 'agent', state: 'fail', found: 'no URL is known', mend: 'set PUBLIC_URL' }
  try {
    const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) })
    const text = await response.text()
    if (response.ok) return { check: 'agent', state: 'ok', found: `${url} is ready` }
    return {
      check: 'agent',
      state: 'fail',
      found: `${url}/ready says ${response.status}: ${text.slice(0, 300)}`,
      mend: 'look into its log for the part that is not ready',
    }
  } catch {
    return {
      check: 'agent',
      state: 'fail',
      found: `${url} does not answer`,
      mend: 'start it (`zerog agent storage`), or open its port to the outside',
    }
  }
}

async function examineDisk(folder: string): Promise<Finding[]> {
  try {
    const { bavail, bsize } = await statfs(folder)
    const freeBytes = bavail * bsize
    return freeBytes > LOW_DISK_BYTES
      ? [{ check: 'disk', state: 'ok', found: `${formatBytes(freeBytes)} free` }]
      : [
          {
            check: 'disk',
            state: 'warn',
            found: `${formatBytes(freeBytes)} free`,
            mend: 'free space, or lower CAPACITY_BYTES',
          },
        ]
  } catch {
    return [
      {
        check: 'disk',
        state: 'fail',
        found: `${folder} does not exist`,
        mend: 'set DATA_DIR, or run `zerog agent init storage`',
      },
    ]
  }
}
