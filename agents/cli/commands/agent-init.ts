import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { formatEther } from 'ethers'
import type { Chain } from '../../../sdk/chain/connect.ts'
import { readOperator, registerCall, setEndpointCall } from '../../../sdk/chain/operators.ts'
import { read } from '../../../sdk/chain/read.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import {
  type AgentKind,
  COMPUTE_AGENT,
  DA_AGENT,
  STORAGE_AGENT,
  type StakeWish,
  type Step,
} from '../agent-kind.ts'
import { parseAmount, parseBytes, parseCount, parseUrl } from '../amount.ts'
import { ask } from '../ask.ts'
import { type CapacityChoice, capacitySettings } from '../capacity-settings.ts'
import { addComputeOptions, type ComputeChoice, computeSettings } from '../compute-settings.ts'
import { updateEnvFile } from '../env-file.ts'
import { formatWei, formatWeiUp } from '../format.ts'
import { type OperatorKey, openOrMakeKey } from '../operator-key.ts'
import type { Output } from '../output.ts'
import { checkReachable } from '../reachability.ts'
import { type Session, withSession } from '../session.ts'

type InitOptions = {
  dataDir?: string
  publicUrl?: string
  host?: string
  port?: number
  stake?: bigint
  bond?: bigint
  importKey?: string
  passwordFile?: string
  metadata: string
  skipReachability?: boolean
}

/** How the agent will run: options over what `.env` says already over what suits most. */
type Settings = { dataDir: string; publicUrl: string; host: string; port: number }

/** The variables that only this kind of agent has, checked. */
type OwnSettings<O> = (
  session: Session,
  output: Output,
  options: O & { dataDir: string },
) => Promise<Record<string, string>>

/** Gas that registering, staking and a first day of answers need, in gas units. */
const FIRST_DAY_GAS = 5_000_000n
const DEFAULT_PORT = 5678
const PENDING_TIMEOUT_MS = 120_000
const POLL_MS = 250

const NOTES = `
Settings that .env in this folder (or the environment) names already stay as they are unless an option changes them. The
key is never replaced. Run it again after any failure, or to change the URL: it sends only what the chain still lacks.

Example:
`

const STORAGE_EXAMPLE =
  '  RPC_URL=https://… zerog agent init storage --public-url https://store.example --port 5678 --stake 100 --capacity 2TB'
const DA_EXAMPLE =
  '  RPC_URL=https://… zerog agent init da --public-url https://da.example --port 5679 --stake 100 --capacity 2TB'

const COMPUTE_EXAMPLE = `  RPC_URL=https://… zerog agent init compute --public-url https://gpu.example --port 5680 --stake 100 \\
    --model zerog/chat-mini --model-root 0x1f… --input-price 1000000000wei --output-price 2000000000wei`

/** `zerog agent init storage`: an operator's first hour. Safe to run again: it goes on where it stopped. */
export function initStorageCommand(): Command {
  return storing(STORAGE_AGENT).addHelpText('after', `${NOTES}${STORAGE_EXAMPLE}`)
}

/** `zerog agent init da`: the first hour of a node and disperser. */
export function initDaCommand(): Command {
  return storing(DA_AGENT)
    .option(
      '--bond <amount>',
      "coins of a disperser's bond; what the network asks by default, 0 for a node alone",
      parseAmount,
    )
    .addHelpText('after', `${NOTES}${DA_EXAMPLE}`)
}

/** `zerog agent init compute`: the first hour of who serves a model. */
export function initComputeCommand(): Command {
  const command = initCommand<ComputeChoice>(COMPUTE_AGENT, computeSettings)
  return addComputeOptions(command).addHelpText('after', `${NOTES}${COMPUTE_EXAMPLE}`)
}

function storing(kind: AgentKind): Command {
  return initCommand<CapacityChoice>(kind, capacitySettings).option(
    '--capacity <bytes>',
    `room for ${kind.keeps}, such as 500GB (default: 100GB)`,
    parseBytes('--capacity'),
  )
}

function initCommand<O>(kind: AgentKind, own: OwnSettings<O>): Command {
  return new Command(kind.name)
    .description('make or import a key, write .env, check, stake, register the endpoint')
    .option('--data-dir <folder>', `folder of keys, database and ${kind.keeps} (default: data)`)
    .option(
      '--public-url <url>',
      'URL under which others reach this agent; asked for if missing',
      parseUrl('--public-url'),
    )
    .option('--host <address>', 'address to listen on (default: 0.0.0.0)')
    .option('--port <port>', `port to listen on (default: ${DEFAULT_PORT})`, parseCount('--port', 1, 65_535))
    .option(
      '--stake <amount>',
      `coins to have behind ${kind.behind} in all; asked for if missing`,
      parseAmount,
    )
    .option('--import-key <file>', 'file with a private key in hex to import; default: a new key')
    .option(
      '--password-file <file>',
      'file with the password of the keystore; made with a random one if missing',
    )
    .option('--metadata <uri>', 'URI that describes the operator', '')
    .option('--skip-reachability', 'do not check that the URL leads here')
    .action(
      withSession((session, output, _args: [], options: InitOptions & O) =>
        initAgent(session, output, { kind, options, own }),
      ),
    )
}

async function initAgent<O>(
  session: Session,
  output: Output,
  { kind, options, own }: { kind: AgentKind; options: InitOptions & O; own: OwnSettings<O> },
): Promise<void> {
  const { chain, config, signal } = session
  output.note(`chain       id ${chain.chainId} at ${config.RPC_URL}`)
  const dataDir = resolve(options.dataDir ?? config.DATA_DIR ?? 'data')
  const { importKey, passwordFile } = options
  const key = await openOrMakeKey(session, output, { dataDir, importKey, passwordFile })
  const operator = key.wallet.address
  output.note(`operator    ${operator}`)
  const settings = await settingsOf(session, { ...options, kind, dataDir, operator })
  const { publicUrl, host, port } = settings

  if (options.skipReachability !== true) {
    await checkReachable({ publicUrl, host, port, operator, signal })
    output.note(`reachable   ${publicUrl} leads to port ${port} here`)
  }
  const ownEnv = await own(session, output, { ...options, dataDir })
  updateEnvFile('.env', { ...envOf(session, settings, key), ...ownEnv })
  output.note(`settings    ${resolve('.env')}`)

  const stakeWei =
    options.stake ??
    parseAmount(
      await ask(`How many coins to have behind ${kind.behind}? `, {
        flag: '--stake',
        fallback: formatEther(await kind.proposedWei(chain, operator)),
      }),
    )
  await awaitPending(session, operator)
  const steps = await missingSteps(chain, {
    ...{ kind, operator, publicUrl, stakeWei },
    ...{ bondWei: options.bond, metadata: options.metadata },
  })
  await checkFunds(chain, operator, steps)
  const sender = await signerSender(chain, key.wallet.connect(chain.provider))
  for (const { label, call } of steps) {
    const receipt = await sendCall(sender, { ...call, label, signal })
    output.note(`${label.padEnd(11)} ${receipt.hash}`)
  }
  const backingWei = await kind.backingWei(chain, operator)
  const { keystoreFile } = key
  output.result(
    { operator, publicUrl, keystoreFile, dataDir, backingWei, sent: steps.map(({ label }) => label) },
    [
      `operator ${operator} is ready, with ${formatWei(backingWei)} behind ${kind.behind}`,
      ...(backingWei === 0n ? [kind.noStake] : []),
      `keep safe: ${[keystoreFile, key.passwordFile].filter(Boolean).join(' and ')}`,
      `run it:    zerog agent ${kind.name}`,
      'check it:  zerog doctor',
    ],
  )
}

async function settingsOf(
  { chain, config }: Session,
  options: InitOptions & { kind: AgentKind; dataDir: string; operator: string },
): Promise<Settings> {
  const { operator, dataDir } = options
  const known =
    options.publicUrl ??
    config.PUBLIC_URL ??
    (await readOperator(chain, operator, { service: options.kind.service })).endpoint
  const url =
    known === '' ? await ask('URL under which others reach this agent: ', { flag: '--public-url' }) : known
  return {
    dataDir,
    publicUrl: parseUrl('--public-url')(url),
    host: options.host ?? config.HTTP_HOST ?? '0.0.0.0',
    // Port 0 means any free one, which no URL can lead to.
    port: options.port ?? (config.HTTP_PORT || DEFAULT_PORT),
  }
}

function envOf(
  { chain, config }: Session,
  { dataDir, publicUrl, host, port }: Settings,
  { keystoreFile, passwordFile }: OperatorKey,
): Record<string, string> {
  return {
    RPC_URL: config.RPC_URL,
    CHAIN_ID: String(chain.chainId),
    ADDRESS_BOOK: config.ADDRESS_BOOK,
    DATA_DIR: dataDir,
    KEYSTORE_FILE: keystoreFile,
    ...(passwordFile === undefined ? {} : { KEYSTORE_PASSWORD_FILE: passwordFile }),
    HTTP_HOST: host,
    HTTP_PORT: String(port),
    PUBLIC_URL: publicUrl,
  }
}

/** A transaction of an interrupted run may still be on its way; what it changes must not be sent again. */
async function awaitPending({ chain, signal }: Session, operator: string): Promise<void> {
  const giveUpAt = performance.now() + PENDING_TIMEOUT_MS
  for (;;) {
    const [pending, mined] = await Promise.all(
      (['pending', 'latest'] as const).map((tag) =>
        read(chain.provider.getTransactionCount(operator, tag), { signal }),
      ),
    )
    if (pending === mined) return
    if (performance.now() > giveUpAt) {
      throw new ZerogError(
        'NONCE_CONFLICT',
        `a transaction of ${operator} waits to be mined: try again later`,
      )
    }
    await delay(POLL_MS, undefined, { signal })
  }
}

/** What the chain still lacks: a second run sends only the rest. */
async function missingSteps(
  chain: Chain,
  wanted: StakeWish & { kind: AgentKind; publicUrl: string; metadata: string },
): Promise<Step[]> {
  const { kind, operator } = wanted
  const known = await readOperator(chain, operator, { service: kind.service })
  const steps: Step[] = []
  if (!known.registered) steps.push({ label: 'registered', call: registerCall(chain, wanted.metadata) })
  if (known.endpoint !== wanted.publicUrl) {
    steps.push({ label: 'endpoint', call: setEndpointCall(chain, wanted.publicUrl, kind.service) })
  }
  return [...steps, ...(await kind.stakeSteps(chain, wanted))]
}

async function checkFunds(chain: Chain, operator: string, steps: readonly Step[]): Promise<void> {
  const [balanceWei, fees] = await read(
    Promise.all([chain.provider.getBalance(operator), chain.provider.getFeeData()]),
  )
  const valueWei = steps.reduce((sum, { call }) => sum + call.valueWei, 0n)
  const neededWei = valueWei + FIRST_DAY_GAS * (fees.maxFeePerGas ?? fees.gasPrice ?? 0n)
  if (balanceWei >= neededWei) return
  throw new ZerogError(
    'INSUFFICIENT_FUNDS',
    `send at least ${formatWeiUp(neededWei - balanceWei)} to ${operator} (${formatWei(valueWei)} to stake, the rest ` +
      'for gas), then run the same command again: it goes on from here',
    { meta: { operator, balanceWei: String(balanceWei), neededWei: String(neededWei) } },
  )
}
