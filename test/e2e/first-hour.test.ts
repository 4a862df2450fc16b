import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseEnv } from 'node:util'
import { parseEther, toQuantity, Wallet } from 'ethers'
import { loadKeystore } from '../../agents/kernel/keystore.ts'
import { readStorageProvider } from '../../sdk/chain/operators.ts'
import { type AnvilNetwork, startAnvilNetwork } from '../support/anvil-network.ts'
import { freePort } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'
import { type CliRun, type RunningCli, runZerog, startZerog } from '../support/zerog-cli.ts'

const MINUTE_MS = 60_000

type Finding = { check: string; state: 'ok' | 'warn' | 'fail'; found: string; mend?: string }
type Init = { operator: string; backingWei: string; sent: string[]; keystoreFile: string }
type Shortage = {
  code: string
  message: string
  meta: { operator: string; balanceWei: string; neededWei: string }
}

let network: AnvilNetwork

before(
  async () => {
    network = await startAnvilNetwork({ agentCount: 0 })
  },
  { timeout: 2 * MINUTE_MS },
)
after(() => network?.stop(), { timeout: MINUTE_MS })

/** An operator's folder, from where all its commands run. */
function makeFolder(env: string): string {
  const folder = join(tempDir(), 'operator')
  mkdirSync(folder)
  if (env !== '') writeFileSync(join(folder, '.env'), env)
  return folder
}

function init(cwd: string, args: readonly string[], env: Record<string, string> = {}): Promise<CliRun> {
  const chain = ['--rpc', network.node.url, '--addresses', network.addressBook]
  return runZerog(['agent', 'init', 'storage', ...args, ...chain, '--json'], { cwd, env })
}

function errorOf(run: CliRun): Shortage {
  return (JSON.parse(run.stderr) as { error: Shortage }).error
}

async function send(to: string, valueWei: bigint): Promise<void> {
  await (await network.user.sendTransaction({ to, value: valueWei })).wait()
}

describe("an operator's first hour", () => {
  const LINES = '# mine\nLOG_LEVEL=warn\nHTTP_PORT=1\nexport JOB_CONCURRENCY=2\nHTTP_PORT=2\n'
  let folder: string
  let port: number
  let url: string
  let operator: string
  let agent: RunningCli | undefined

  before(async () => {
    folder = makeFolder(LINES)
    port = await freePort()
    url = `http://127.0.0.1:${port}`
  })
  after(async () => {
    agent?.kill('SIGTERM')
    await agent?.done
  })

  const flags = () => [
    ...['--public-url', url, '--host', '127.0.0.1', '--port', String(port)],
    ...['--data-dir', 'my data', '--capacity', '2GB', '--stake', '50'],
  ]
  const envFile = () => readFileSync(join(folder, '.env'), 'utf8')

  it('a fresh key without coins: says how much to send where, and sends nothing', async () => {
    const run = await init(folder, flags())
    assert.deepEqual([run.code, run.errorCode()], [77, 'INSUFFICIENT_FUNDS'], run.stderr)
    const { message, meta } = errorOf(run)
    operator = meta.operator
    assert.match(message, new RegExp(`^send at least 50\\.\\d* 0G to ${operator} `))
    assert.ok(BigInt(meta.neededWei) > parseEther('50'))

    const keystore = join(folder, 'my data/keystore.json')
    const password = join(folder, 'my data/keystore.password')
    for (const file of [keystore, password]) assert.equal(statSync(file).mode & 0o777, 0o600, file)
    const wallet = await loadKeystore(keystore, readFileSync(password, 'utf8').trim())
    assert.equal(wallet.address, operator)
    assert.ok(!readFileSync(keystore, 'utf8').includes(wallet.privateKey.slice(2)), 'the key is encrypted')
    assert.equal(await network.provider.getTransactionCount(operator, 'pending'), 0)
  })

  it('with exactly the coins it asked for it goes on: registered, staked, reachable', async () => {
    const { meta } = errorOf(await init(folder, flags()))
    await send(operator, BigInt(meta.neededWei) - BigInt(meta.balanceWei))
    const run = await init(folder, flags())
    assert.equal(run.code, 0, run.stderr)
    const done = run.json<Init>()
    assert.deepEqual(done.sent, ['registered', 'endpoint', 'staked', 'allocated'])
    const known = await readStorageProvider(network.chain, operator)
    assert.deepEqual([known.endpoint, known.backingWei], [url, parseEther('50')])
    await send(operator, parseEther('1'))
  })

  it('.env has all that the agent needs; every other line is as it was', () => {
    const text = envFile()
    assert.ok(
      text.startsWith(`# mine\nLOG_LEVEL=warn\nHTTP_PORT=${port}\nexport JOB_CONCURRENCY=2\nRPC_URL=`),
      text,
    )
    assert.deepEqual(parseEnv(text), {
      LOG_LEVEL: 'warn',
      JOB_CONCURRENCY: '2',
      RPC_URL: network.node.url,
      CHAIN_ID: '31337',
      ADDRESS_BOOK: network.addressBook,
      DATA_DIR: join(folder, 'my data'),
      KEYSTORE_FILE: join(folder, 'my data/keystore.json'),
      KEYSTORE_PASSWORD_FILE: join(folder, 'my data/keystore.password'),
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: String(port),
      PUBLIC_URL: url,
      CAPACITY_BYTES: '2000000000',
    })
    assert.equal(statSync(join(folder, '.env')).mode & 0o777, 0o600)
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes('tmp')),
      [],
    )
  })

  it('a second init without options changes nothing and sends nothing', async () => {
    const before = envFile()
    const run = await runZerog(['agent', 'init', 'storage', '--json'], { cwd: folder })
    assert.equal(run.code, 0, run.stderr)
    assert.deepEqual(run.json<Init>().sent, [])
    assert.equal(envFile(), before)
  })

  it('zerog agent storage runs from that .env alone, and doctor finds it healthy', async () => {
    await startAgent()
    const { code, findings } = await doctor()
    assert.deepEqual(
      findings.filter(({ state }) => state !== 'ok'),
      [],
    )
    assert.equal(code, 0)
    const words = await runZerog(['doctor'], { cwd: folder })
    assert.match(words.stdout, /^ok {4}chain +id 31337/)
    assert.match(words.stdout, /\nhealthy\n$/)
  })

  it('init beside the running agent: the port is taken by it, so it is reachable', async () => {
    const run = await runZerog(['agent', 'init', 'storage', '--json'], { cwd: folder })
    assert.equal(run.code, 0, run.stderr)
    const taken = await init(makeFolder(''), flags())
    assert.deepEqual([taken.code, taken.errorCode()], [78, 'CONFIG_INVALID'], taken.stderr)
    assert.match(taken.stderr, /another program has this port/)
  })

  type Break = {
    name: string
    env: () => Record<string, string>
    /** What is found, and what the advice names. */
    fails: [check: string, mend: RegExp][]
  }
  const stranger = Wallet.createRandom()
  const breaks: Break[] = [
    {
      name: 'wrong chain id',
      env: () => ({ CHAIN_ID: '1' }),
      fails: [['chain', /RPC_URL, CHAIN_ID and ADDRESS_BOOK/]],
    },
    {
      name: 'RPC down',
      env: () => ({ RPC_URL: 'http://127.0.0.1:1' }),
      fails: [['rpc', /check RPC_URL/]],
    },
    {
      name: 'address book missing',
      env: () => ({ ADDRESS_BOOK: 'nowhere.json' }),
      fails: [['contracts', /ADDRESS_BOOK/]],
    },
    {
      name: 'malformed setting',
      env: () => ({ CAPACITY_BYTES: 'much' }),
      fails: [['settings', /correct the environment or \.env/]],
    },
    {
      name: 'wrong password',
      env: () => ({ KEYSTORE_PASSWORD_FILE: '.env' }),
      fails: [['key', /KEYSTORE_PASSWORD_FILE/]],
    },
    {
      name: 'no key',
      env: () => ({ KEYSTORE_FILE: '' }),
      fails: [['key', /agent init/]],
    },
    {
      name: 'wrong endpoint',
      env: () => ({ PUBLIC_URL: 'http://127.0.0.1:1' }),
      fails: [
        ['endpoint', /--public-url/],
        ['agent', /start it/],
      ],
    },
    {
      name: "another operator's key, without coins, stake and registration",
      env: () => ({ KEYSTORE_FILE: '', PRIVATE_KEY: stranger.privateKey }),
      fails: [
        ['operator', /agent init storage/],
        ['balance', new RegExp(`send at least .* to ${stranger.address}`)],
        ['stake', /stake deposit AMOUNT --allocate/],
        ['endpoint', /agent init storage/],
        ['agent', /correct PUBLIC_URL, or the key/],
      ],
    },
    {
      name: 'data folder gone',
      env: () => ({ DATA_DIR: 'nowhere' }),
      fails: [['disk', /DATA_DIR/]],
    },
  ]
  for (const { name, env, fails } of breaks) {
    it(`doctor: ${name}`, async () => {
      assertFails(await doctor(env()), fails)
    })
  }

  it('doctor: drained balance', async () => {
    const balanceWei = await network.provider.getBalance(operator)
    await network.anvil().rpc('anvil_setBalance', operator, '0x0')
    assertFails(await doctor(), [['balance', new RegExp(`send at least .* to ${operator}`)]])
    await network.anvil().rpc('anvil_setBalance', operator, toQuantity(balanceWei))
  })

  it('doctor: agent stopped and operator suspended; reinstate, then start again', async () => {
    agent?.kill('SIGTERM')
    assert.equal((await agent?.done)?.code, 0, 'a stopped agent ends well')
    await suspend()
    assertFails(await doctor(), [
      ['standing', /zerog storage reinstate/],
      ['agent', /zerog agent storage/],
    ])
    const run = await runZerog(['storage', 'reinstate', '--json'], { cwd: folder })
    assert.equal(run.code, 0, run.stderr)
    assertFails(await doctor(), [['agent', /zerog agent storage/]])
    await startAgent()
    assert.equal((await doctor()).code, 0)
  })

  it('error: the agent does not start with a wrong password or on a wrong chain', async () => {
    for (const [env, exit, text] of [
      [{ KEYSTORE_PASSWORD_FILE: '.env' }, 78, /^storage: KEYSTORE_INVALID: .* does not open/],
      [{ CHAIN_ID: '5', DATA_DIR: 'other' }, 78, /^storage: WRONG_CHAIN: /],
      [{ CAPACITY_BYTES: 'x' }, 78, /^storage: CONFIG_INVALID: [\s\S]*CAPACITY_BYTES/],
    ] as const) {
      const run = await runZerog(['agent', 'storage'], { cwd: folder, env })
      assert.equal(run.code, exit, run.stderr)
      assert.match(run.stderr, text)
    }
  })

  async function startAgent(): Promise<void> {
    const running = startZerog(['agent', 'storage'], { cwd: folder })
    agent = running
    let ended = false
    void running.done.then(() => {
      ended = true
    })
    await until(
      'the agent is ready',
      async () => ended || (await fetch(`${url}/ready`, { signal: AbortSignal.timeout(2_000) })).ok,
      MINUTE_MS,
    )
    assert.equal(ended, false, running.stderr())
  }

  async function doctor(env: Record<string, string> = {}) {
    const run = await runZerog(['doctor', '--json'], { cwd: folder, env })
    assert.equal(run.stderr, '')
    const { healthy, findings } = run.json<{ healthy: boolean; findings: Finding[] }>()
    assert.equal(healthy, run.code === 0)
    return { code: run.code, findings }
  }

  function assertFails(
    { code, findings }: { code: number | null; findings: Finding[] },
    fails: Break['fails'],
  ) {
    assert.equal(code, 1)
    const failed = findings.filter(({ state }) => state === 'fail')
    assert.deepEqual(
      failed.map(({ check }) => check),
      fails.map(([check]) => check),
      JSON.stringify(findings, null, 1),
    )
    for (const [i, [, mend]] of fails.entries()) assert.match(failed[i]?.mend ?? '', mend)
  }

  /** What the prover does to a provider with too many strikes. */
  async function suspend(): Promise<void> {
    const { StorageProver, StorageStreams } = network.chain.book.contracts
    const from = StorageProver.address
    const { rpc } = network.anvil()
    await rpc('anvil_setBalance', from, toQuantity(parseEther('1')))
    await rpc('anvil_impersonateAccount', from)
    const data = network.chain.contracts.streams.interface.encodeFunctionData('suspend', [operator])
    await rpc('eth_sendTransaction', { from, to: StorageStreams.address, data })
    await until('the operator is suspended', async () => {
      return (await readStorageProvider(network.chain, operator)).suspended
    })
    await rpc('anvil_stopImpersonatingAccount', from)
  }
})

describe('zerog agent init storage', () => {
  const key = Wallet.createRandom()
  const at = (port: number) => ['--public-url', `http://127.0.0.1:${port}`, '--port', String(port)]

  it('imports a key, and never replaces one', async () => {
    const folder = makeFolder('')
    writeFileSync(join(folder, 'key.hex'), `${key.privateKey.slice(2)}\n`)
    writeFileSync(join(folder, 'other.hex'), Wallet.createRandom().privateKey)
    writeFileSync(join(folder, 'secret'), 'my own password\n')
    const port = await freePort()
    const args = [...at(port), '--stake', '1', '--password-file', 'secret', '--import-key']
    const run = await init(folder, [...args, 'key.hex'])
    assert.deepEqual([run.code, run.errorCode()], [77, 'INSUFFICIENT_FUNDS'], run.stderr)
    assert.equal(errorOf(run).meta.operator, key.address)
    const keystore = join(folder, 'data/keystore.json')
    assert.equal((await loadKeystore(keystore, 'my own password')).address, key.address)

    const before = readFileSync(keystore, 'utf8')
    const other = await init(folder, [...args, 'other.hex'])
    assert.deepEqual([other.code, other.errorCode()], [73, 'FILE_EXISTS'], other.stderr)
    assert.equal(readFileSync(keystore, 'utf8'), before)
    // The .env of the first run leads to the key; without it, its folder does.
    writeFileSync(join(folder, '.env'), '')
    const wrong = await init(folder, [...at(port), '--stake', '1', '--password-file', 'key.hex'])
    assert.deepEqual([wrong.code, wrong.errorCode()], [78, 'KEYSTORE_INVALID'], wrong.stderr)
    const missing = await init(folder, [...at(port), '--stake', '1'])
    assert.deepEqual([missing.code, missing.errorCode()], [78, 'KEYSTORE_INVALID'], missing.stderr)
    assert.ok(!existsSync(join(folder, 'data/keystore.password')), 'no password is made up for it')
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), '')
  })

  it('error: bad input leaves no key and no .env', async () => {
    const folder = makeFolder('')
    writeFileSync(join(folder, 'bad.hex'), '0x1234')
    const port = await freePort()
    const cases: [args: string[], code: string, exit: number, env?: Record<string, string>][] = [
      [[...at(port), '--import-key', 'bad.hex'], 'BAD_HEX', 64],
      [[...at(port), '--import-key', 'nowhere'], 'FILE_MISSING', 66],
      [['--public-url', 'store.example'], 'BAD_REQUEST', 64],
      [[...at(port), '--stake', 'all'], 'BAD_REQUEST', 64],
      [[...at(port), '--capacity', '-1'], 'BAD_REQUEST', 64],
      [at(port), 'WRONG_CHAIN', 78, { CHAIN_ID: '1' }],
      [at(port), 'CONFIG_INVALID', 78, { PRIVATE_KEY: key.privateKey }],
    ]
    for (const [args, code, exit, env] of cases) {
      const run = await init(folder, args, env)
      assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
    }
    assert.deepEqual(readdirSync(folder), ['bad.hex'])
  })

  it('error: a URL that does not lead here, or is missing, writes no .env', async () => {
    const folder = makeFolder('')
    const stranger = createServer((_request, response) => response.end('hello'))
    const strangerPort = await freePort()
    await new Promise<void>((resolve) => stranger.listen(strangerPort, '127.0.0.1', resolve))
    const port = await freePort()
    try {
      const dead = await init(folder, ['--public-url', 'http://127.0.0.1:1', '--port', String(port)])
      assert.deepEqual([dead.code, dead.errorCode()], [69, 'PEER_UNREACHABLE'], dead.stderr)
      const elsewhere = await init(folder, [...at(strangerPort), '--port', String(port)])
      assert.deepEqual([elsewhere.code, elsewhere.errorCode()], [69, 'PEER_UNREACHABLE'], elsewhere.stderr)
      const unasked = await init(folder, ['--port', String(port)])
      assert.deepEqual([unasked.code, unasked.errorCode()], [64, 'BAD_REQUEST'], unasked.stderr)
      assert.match(unasked.stderr, /--public-url is missing/)
    } finally {
      stranger.close()
    }
    assert.ok(!existsSync(join(folder, '.env')))
  })
})
