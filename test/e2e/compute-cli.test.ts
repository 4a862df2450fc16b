import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseEnv } from 'node:util'
import { parseEther, Wallet } from 'ethers'
import {
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from '../agents/compute/compute-world.ts'
import { at } from '../support/content.ts'
import { freePort } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'
import { type CliRun, type RunningCli, runZerog, startZerog } from '../support/zerog-cli.ts'

const MINUTE_MS = 60_000
const CHAT = 'zerog/chat-mini'
const DIGITS = 'zerog/digits'

let world: ComputeWorld
let chat: WorldProvider
let digits: WorldProvider
let folder: string
let user: Wallet

before(
  async () => {
    folder = tempDir()
    world = await startComputeWorld()
    user = world.account(20)
    chat = await world.addProvider(0, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat') })
    digits = await world.addProvider(1, { MODEL_ID: DIGITS, MODEL_DIR: modelDir('digits') })
    await Promise.all([chat.start(), digits.start()])
    await until('both services are listed', async () => {
      await world.anvil.mine(1)
      return (await chat.isListed()) && (await digits.isListed())
    })
  },
  { timeout: 4 * MINUTE_MS },
)
after(() => world?.stop(), { timeout: MINUTE_MS })

const chainEnv = () => ({ RPC_URL: world.anvil.rpcUrl, ADDRESS_BOOK: world.bookFile })

/** Runs `zerog … --json` as the funded user in the test's folder. */
function zerog(args: readonly string[], change: Record<string, string> = {}): Promise<CliRun> {
  const env = { ...chainEnv(), PRIVATE_KEY: user.privateKey, ...change }
  return runZerog([...args, '--json'], { cwd: folder, env })
}

async function zerogOk<T>(args: readonly string[], change: Record<string, string> = {}): Promise<T> {
  const run = await zerog(args, change)
  assert.equal(run.code, 0, run.stderr)
  return run.json<T>()
}

describe('zerog compute services, fund, withdraw', () => {
  type Services = { services: { model: string; provider: string; serviceType: string }[] }
  type Funded = { depositWei: string; spendableWei: string; availableWei: string; sent: unknown[] }
  type Withdrawn = {
    paidWei: string
    availableWei: string
    lockedWei: string
    locked: { provider: string; untilSec: string }[]
    transactions: string[]
  }
  const provider = () => chat.wallet.address

  it('services: all of them, or those of a model or kind', async () => {
    const all = await zerogOk<Services>(['compute', 'services'])
    assert.deepEqual(all.services.map(({ model }) => model).sort(), [CHAT, DIGITS])
    for (const args of [
      ['--model', DIGITS],
      ['--kind', 'tensor'],
    ]) {
      const { services } = await zerogOk<Services>(['compute', 'services', ...args])
      assert.deepEqual(
        services.map((service) => service.provider),
        [digits.wallet.address],
      )
    }
    assert.deepEqual((await zerogOk<Services>(['compute', 'services', '--kind', 'none'])).services, [])
    const words = await runZerog(['compute', 'services'], { cwd: folder, env: chainEnv() })
    assert.match(words.stdout, new RegExp(`${CHAT} +chatbot +1000 +3000 +${provider()}`))
  })

  it('fund: deposits what the ledger lacks, and no more', async () => {
    const poor = await zerog(['compute', 'fund', provider(), '0.0001'])
    assert.deepEqual([poor.code, poor.errorCode()], [64, 'BAD_REQUEST'], poor.stderr)
    const first = await zerogOk<Funded>(['compute', 'fund', provider(), '0.5'])
    assert.equal(first.depositWei, String(parseEther('0.5')))
    assert.deepEqual([first.spendableWei, first.availableWei], [String(parseEther('0.5')), '0'])
    assert.equal(first.sent.length, 2)
    const second = await zerogOk<Funded>(['compute', 'fund', digits.wallet.address, '0.001'])
    assert.equal(second.spendableWei, String(parseEther('0.001')))
    const shown = await zerogOk<{ ledger: { totalWei: string }; accounts: unknown[] }>(['compute', 'fund'])
    assert.deepEqual([shown.ledger.totalWei, shown.accounts.length], [String(parseEther('0.501')), 2])
  })

  it('withdraw: says what is locked and until when, then pays all of it', async () => {
    const balance = () => world.rpc.getBalance(user.address)
    const first = await zerogOk<Withdrawn>(['compute', 'withdraw', '--provider', digits.wallet.address])
    assert.deepEqual([first.paidWei, first.lockedWei], ['0', String(parseEther('0.001'))])
    const lock = at(first.locked, 0)
    assert.equal(lock.provider, digits.wallet.address)
    const now = (await world.rpc.getBlock('latest'))?.timestamp ?? 0
    assert.ok(Number(lock.untilSec) > now)
    const again = await zerogOk<Withdrawn>(['compute', 'withdraw', '--provider', digits.wallet.address])
    assert.deepEqual(again.transactions, [], 'what is locked is not asked again')

    await world.elapse(BigInt(lock.untilSec) - BigInt(now) + 1n)
    const before = await balance()
    const last = await zerogOk<Withdrawn>(['compute', 'withdraw', '--provider', digits.wallet.address])
    assert.deepEqual([last.paidWei, last.lockedWei], [String(parseEther('0.001')), '0'])
    assert.ok((await balance()) > before)
  })

  const refusals: [name: string, args: () => string[], code: string, exit: number][] = [
    ['fund: who lists nothing', () => ['fund', Wallet.createRandom().address, '1'], 'NOT_FOUND', 66],
    ['fund: no amount', () => ['fund', provider()], 'BAD_REQUEST', 64],
    ['fund: a bad amount', () => ['fund', provider(), 'much'], 'BAD_REQUEST', 64],
    ['fund: a bad address', () => ['fund', '0x12', '1'], 'BAD_HEX', 64],
    ['withdraw: no account', () => ['withdraw', '--provider', user.address], 'NOT_FOUND', 66],
    ['withdraw: too much', () => ['withdraw', '--amount', '1000'], 'BAD_REQUEST', 64],
    ['services: a bad limit', () => ['services', '--limit', '0'], 'BAD_REQUEST', 64],
    ['doctor: no such model', () => ['doctor', '--model', 'nowhere'], 'FILE_MISSING', 66],
  ]
  for (const [name, args, code, exit] of refusals) {
    it(`error: ${name}`, async () => {
      const run = await zerog(['compute', ...args()])
      assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
    })
  }

  it('error: without money, and without a key', async () => {
    const stranger = await zerog(['compute', 'withdraw'], { PRIVATE_KEY: Wallet.createRandom().privateKey })
    assert.deepEqual([stranger.errorCode(), stranger.code], ['NOT_FOUND', 66], stranger.stderr)
    const keyless = await zerog(['compute', 'fund', provider(), '1'], { PRIVATE_KEY: '' })
    assert.deepEqual([keyless.errorCode(), keyless.code], ['CONFIG_INVALID', 78], keyless.stderr)
  })

  it('doctor: finds and measures what the machine has', async () => {
    const found = await zerogOk<{ providers: { name: string; runMs?: number }[]; chosen: string }>([
      'compute',
      'doctor',
      '--model',
      modelDir('digits'),
    ])
    assert.ok(found.chosen)
    const cpu = found.providers.find(({ name }) => name === 'cpu')
    assert.ok((cpu?.runMs ?? 0) > 0)
  })
})

describe('zerog agent compute', () => {
  type Finding = { check: string; state: 'ok' | 'warn' | 'fail'; found: string; mend?: string }
  let cwd: string
  let port: number
  let agent: RunningCli | undefined
  let operator = ''

  before(async () => {
    cwd = join(tempDir(), 'operator')
    mkdirSync(cwd)
    port = await freePort()
  })
  after(async () => {
    agent?.kill('SIGTERM')
    await agent?.done
  })

  const url = () => `http://127.0.0.1:${port}`
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    runZerog([...args, '--json'], { cwd, env: { ...chainEnv(), ...env } })
  const init = (more: readonly string[] = []) =>
    run(['agent', 'init', 'compute', '--public-url', url(), '--host', '127.0.0.1', ...more])
  const wish = () => [
    ...['--port', String(port), '--model', 'zerog/embed-mini', '--model-dir', modelDir('embed')],
    ...['--input-price', '500wei', '--output-price', '0', '--execution-provider', 'cpu'],
  ]

  async function doctor(env: Record<string, string> = {}) {
    const done = await run(['doctor'], env)
    const { healthy, findings } = done.json<{ healthy: boolean; findings: Finding[] }>()
    assert.equal(healthy, done.code === 0)
    return { findings, failed: findings.filter(({ state }) => state === 'fail') }
  }

  it('error: bad choices write no .env', async () => {
    const cases: [args: string[], code: string][] = [
      [['--model', 'no spaces please'], 'BAD_REQUEST'],
      [['--model-root', '0x12'], 'BAD_REQUEST'],
      [['--input-price', '-1'], 'BAD_REQUEST'],
      [['--execution-provider', 'abacus'], 'BAD_REQUEST'],
      [['--port', String(port), '--model', 'm', '--model-dir', 'nowhere'], 'COMPUTE_MODEL_INVALID'],
      [['--port', String(port), '--model', 'm', '--model-dir', cwd], 'COMPUTE_MODEL_INVALID'],
      [['--port', String(port), '--model', 'm', '--model-root', `0x${'ab'.repeat(32)}`], 'UNKNOWN_ROOT'],
      [['--port', String(port), '--model', 'm'], 'BAD_REQUEST'],
    ]
    for (const [args, code] of cases) {
      const bad = await init(args)
      assert.equal(bad.errorCode(), code, bad.stderr)
    }
    assert.throws(() => readFileSync(join(cwd, '.env')))
  })

  it('from an empty folder to a listed service', { timeout: 4 * MINUTE_MS }, async () => {
    const poor = await init(wish())
    assert.equal(poor.errorCode(), 'INSUFFICIENT_FUNDS', poor.stderr)
    const { meta } = (JSON.parse(poor.stderr) as { error: { meta: { operator: string } } }).error
    operator = meta.operator
    await (await user.sendTransaction({ to: operator, value: parseEther('300') })).wait()

    const done = await init(wish())
    assert.equal(done.code, 0, done.stderr)
    const { sent, backingWei } = done.json<{ sent: string[]; backingWei: string }>()
    assert.deepEqual(sent, ['registered', 'endpoint', 'staked', 'allocated'])
    assert.equal(BigInt(backingWei), world.chain.computeTerms.minProviderStakeWei)
    const env = parseEnv(readFileSync(join(cwd, '.env'), 'utf8'))
    assert.deepEqual(
      [env.MODEL_ID, env.MODEL_DIR, env.INPUT_PRICE_WEI, env.OUTPUT_PRICE_WEI, env.EXECUTION_PROVIDER],
      ['zerog/embed-mini', modelDir('embed'), '500', '0', 'cpu'],
    )
    assert.deepEqual((await init()).json<{ sent: string[] }>().sent, [], 'a second run sends nothing')

    const { failed } = await doctor()
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['service', 'agent'],
      'not listed, not running',
    )
    assert.match(at(failed, 1).mend ?? '', /zerog agent compute/)

    agent = startZerog(['agent', 'compute'], {
      cwd,
      env: { ...chainEnv(), REDIS_URL: world.redis.url, CONFIRMATIONS: '0', THREADS: '1', LOG_LEVEL: 'warn' },
    })
    await until(
      'the service is listed',
      async () => {
        await world.anvil.mine(1)
        return world.inference.serviceExists(operator)
      },
      2 * MINUTE_MS,
    )
    const healthy = await doctor()
    assert.deepEqual(
      healthy.findings.filter(({ state }) => state !== 'ok'),
      [],
    )
    const checks = healthy.findings.map(({ check }) => check)
    for (const check of ['balance', 'stake', 'service', 'signer', 'endpoint', 'agent', 'model', 'disk'])
      assert.ok(checks.includes(check), check)
  })

  it('doctor: what is wrong with a listed provider, and how to mend it', async () => {
    const wrongUrl = await doctor({ PUBLIC_URL: 'http://127.0.0.1:1' })
    assert.deepEqual(
      wrongUrl.failed.map(({ check }) => check),
      ['endpoint', 'agent'],
    )
    const other = await doctor({ MODEL_ID: 'zerog/other' })
    assert.match(other.findings.find(({ check }) => check === 'service')?.mend ?? '', /restart the agent/)
    const balanceWei = await world.rpc.getBalance(operator)
    await world.anvil.rpc('anvil_setBalance', operator, '0x0')
    const drained = await doctor()
    await world.anvil.rpc('anvil_setBalance', operator, `0x${balanceWei.toString(16)}`)
    assert.deepEqual(
      drained.failed.map(({ check }) => check),
      ['balance'],
    )
    const outside = await runZerog(['doctor', '--operator', chat.wallet.address, '--json'], {
      cwd: folder,
      env: chainEnv(),
    })
    assert.equal(outside.code, 0, outside.stdout)
  })

  it('stake: status, more and back', async () => {
    const more = await run(['stake', 'deposit', '1', '--allocate', '--service', 'compute'])
    assert.equal(more.code, 0, more.stderr)
    const back = await run(['stake', 'deallocate', '1', '--service', 'compute'])
    assert.equal(back.code, 0, back.stderr)
    const status = (await run(['stake', 'status', '--service', 'compute'])).json<{
      allocation: { backingWei: string; pendingWei: string }
    }>()
    assert.equal(BigInt(status.allocation.pendingWei), parseEther('1'))
    const bad = await run(['stake', 'status', '--service', 'poetry'])
    assert.equal(bad.errorCode(), 'BAD_REQUEST')
  })

  it('a running agent that cannot load its model says so to doctor', { timeout: 2 * MINUTE_MS }, async () => {
    agent?.kill('SIGTERM')
    assert.equal((await agent?.done)?.code, 0, 'a stopped agent ends well')
    const broken = join(cwd, 'broken', 'onnx')
    mkdirSync(broken, { recursive: true })
    writeFileSync(join(broken, 'model.onnx'), 'no graph')
    agent = startZerog(['agent', 'compute'], {
      cwd,
      env: {
        ...chainEnv(),
        ...{ REDIS_URL: world.redis.url, CONFIRMATIONS: '0', LOG_LEVEL: 'silent' },
        MODEL_DIR: join(cwd, 'broken'),
      },
    })
    await until('it says what is wrong with the model', async () => {
      const { failed } = await doctor()
      return failed.length === 1 && at(failed, 0).check === 'model'
    })
  })
})
