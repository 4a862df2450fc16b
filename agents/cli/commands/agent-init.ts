import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import type { Wallet } from 'ethers'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import type { Chain } from '../../../sdk/chain/connect.ts'
import { readOperator, registerCall, setEndpointCall } from '../../../sdk/chain/operators.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { allocateCall, readAllocation, readPool, stakeCall } from '../../../sdk/chain/staking.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { createKeystore, importKeystore, loadKeystore } from '../../kernel/keystore.ts'
import { parseAmount, parseCount } from '../amount.ts'
import { ask } from '../ask.ts'
import { updateEnvFile } from '../env-file.ts'
import { formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { checkReachable } from '../reachability.ts'
import { type Session, withSession } from '../session.ts'

type InitOptions = {
  dataDir: string
  publicUrl?: string
  host: string
  port: number
  stake?: bigint
  capacity: string
  importKey?: string
  passwordFile?: string
  metadata: string
  skipReachability?: boolean
}

/** Gas that registering, staking and a first day of answers need, in gas units. */
const FIRST_DAY_GAS = 5_000_000n

/** `zerog agent init storage`: an operator's first hour. Safe to run again: it goes on where it stopped. */
export function initStorageCommand(): Command {
  return new Command('storage')
    .description('make or import a key, write .env, check, stake, register the endpoint')
    .option('--data-dir <folder>', 'folder of keys, database and shards', 'data')
    .option('--public-url <url>', 'URL under which others reach this agent')
    .option('--host <address>', 'address to listen on', '0.0.0.0')
    .option('--port <port>', 'port to listen on', parseCount('--port', 1, 65_535), 5678)
    .option('--stake <amount>', 'coins to stake behind storage', parseAmount)
    .option('--capacity <bytes>', 'room for shards, in bytes', '107374182400')
    .option('--import-key <file>', 'file with a private key in hex to import; default: a new key')
    .option(
      '--password-file <file>',
      'file with the password of the keystore; made with a random one if missing',
    )
    .option('--metadata <uri>', 'URI that describes the operator', '')
    .option('--skip-reachability', 'do not check that the URL leads here')
    .action(
      withSession((session, output, _args: [], options: InitOptions) =>
        initStorage(session, output, options),
      ),
    )
}

async function initStorage(session: Session, output: Output, options: InitOptions): Promise<void> {
  const { chain } = session
  const dataDir = resolve(options.dataDir)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const { wallet, keystoreFile, passwordFile } = await openOrMakeKey(dataDir, options, output)
  const publicUrl = await publicUrlOf(options)

  if (options.skipReachability !== true) {
    await checkReachable({ publicUrl, host: options.host, port: options.port, signal: session.signal })
    output.note(`reachable   ${publicUrl} leads to port ${options.port} here`)
  }
  updateEnvFile('.env', {
    RPC_URL: session.config.RPC_URL ?? '',
    CHAIN_ID: String(chain.chainId),
    DATA_DIR: dataDir,
    KEYSTORE_FILE: keystoreFile,
    KEYSTORE_PASSWORD_FILE: passwordFile,
    HTTP_HOST: options.host,
    HTTP_PORT: String(options.port),
    PUBLIC_URL: publicUrl,
    CAPACITY_BYTES: options.capacity,
    ...(session.config.ADDRESS_BOOK === undefined
      ? {}
      : { ADDRESS_BOOK: resolve(session.config.ADDRESS_BOOK) }),
  })
  output.note('settings    .env')

  const operator = wallet.address
  const stakeWei = options.stake ?? parseAmount(await ask('How many coins to stake behind storage? ', '0'))
  const steps = await missingSteps(chain, { operator, publicUrl, stakeWei, metadata: options.metadata })
  await checkFunds(chain, operator, steps)
  const sender = await signerSender(chain, wallet.connect(chain.provider))
  for (const { label, call } of steps) {
    const receipt = await sendCall(sender, { ...call, label, signal: session.signal })
    output.note(`${label.padEnd(11)} ${receipt.hash}`)
  }
  const { backingWei } = await readAllocation(chain, { operator })
  output.result(
    { operator, publicUrl, keystoreFile, dataDir, backingWei, sent: steps.map(({ label }) => label) },
    [
      `operator ${operator} is ready, with ${formatWei(backingWei)} behind storage`,
      ...(backingWei === 0n
        ? ['nobody seals with an operator without stake: zerog stake deposit AMOUNT --allocate']
        : []),
      `keep safe: ${keystoreFile} and ${passwordFile}`,
      'run it:    zerog agent storage',
      'check it:  zerog doctor',
    ],
  )
}

async function openOrMakeKey(
  dataDir: string,
  options: InitOptions,
  output: Output,
): Promise<{ wallet: Wallet; keystoreFile: string; passwordFile: string }> {
  const keystoreFile = join(dataDir, 'keystore.json')
  const passwordFile = resolve(options.passwordFile ?? join(dataDir, 'keystore.password'))
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flush: true })
    output.note(`password    made ${passwordFile}`)
  }
  const password = readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, '')
  if (!existsSync(keystoreFile)) {
    const address =
      options.importKey === undefined
        ? await createKeystore(keystoreFile, password)
        : await importKeystore(keystoreFile, password, readKey(options.importKey))
    output.note(`key         ${options.importKey === undefined ? 'made' : 'imported'} ${address}`)
  }
  return { wallet: await loadKeystore(keystoreFile, password), keystoreFile, passwordFile }
}

function readKey(file: string): string {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return text.startsWith('0x') ? text : `0x${text}`
  } catch (cause) {
    throw new ZerogError('FILE_MISSING', `the key file ${file} cannot be read`, { cause })
  }
}

async function publicUrlOf(options: InitOptions): Promise<string> {
  const text = options.publicUrl ?? (await ask('URL under which others reach this agent: '))
  if (URL.canParse(text) && /^https?:\/\//.test(text)) return text.replace(/\/+$/, '')
  throw new ZerogError('BAD_REQUEST', `"${text}" is not an http:// or https:// URL`)
}

type Step = { label: string; call: ChainCall }

/** What the chain still lacks: a second run sends only the rest. */
async function missingSteps(
  chain: Chain,
  wanted: { operator: string; publicUrl: string; stakeWei: bigint; metadata: string },
): Promise<Step[]> {
  const { operator } = wanted
  const [known, allocation, pool] = await Promise.all([
    readOperator(chain, operator),
    readAllocation(chain, { operator }),
    readPool(chain, { operator, pool: 'self' }),
  ])
  const steps: Step[] = []
  if (!known.registered) steps.push({ label: 'registered', call: registerCall(chain, wanted.metadata) })
  if (known.endpoint !== wanted.publicUrl) {
    steps.push({ label: 'endpoint', call: setEndpointCall(chain, wanted.publicUrl) })
  }
  const lackingWei = wanted.stakeWei > allocation.backingWei ? wanted.stakeWei - allocation.backingWei : 0n
  if (lackingWei > pool.freeWei) {
    steps.push({ label: 'staked', call: stakeCall(chain, lackingWei - pool.freeWei) })
  }
  if (lackingWei > 0n)
    steps.push({ label: 'allocated', call: allocateCall(chain, { amountWei: lackingWei }) })
  return steps
}

async function checkFunds(chain: Chain, operator: string, steps: readonly Step[]): Promise<void> {
  const [balanceWei, fees] = await Promise.all([
    chain.provider.getBalance(operator),
    chain.provider.getFeeData(),
  ])
  const valueWei = steps.reduce((sum, { call }) => sum + call.valueWei, 0n)
  const neededWei = valueWei + FIRST_DAY_GAS * (fees.maxFeePerGas ?? fees.gasPrice ?? 0n)
  if (balanceWei >= neededWei) return
  throw new ZerogError(
    'INSUFFICIENT_FUNDS',
    `send at least ${formatWei(neededWei - balanceWei)} to ${operator}, then run this again: it goes on from here`,
    { meta: { operator, balanceWei: String(balanceWei), neededWei: String(neededWei) } },
  )
}
