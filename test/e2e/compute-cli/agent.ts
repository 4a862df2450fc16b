import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseEnv } from 'node:util'
import { parseEther } from 'ethers'
import { registerModelCall } from '../../../sdk/chain/model-calls.ts'
import { OPEN_TERMS } from '../../../sdk/chain/models.ts'
import { at } from '../../support/content.ts'
import { freePort } from '../../support/processes.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { type RunningCli, runZerog, startZerog } from '../../support/zerog-cli.ts'
import { chainEnv, chat, digitsRoot, folder, MINUTE_MS, user, world } from './world.ts'

describe('zerog agent compute', () => {
  /** A name in the registry, from which the root of its manifest comes. */
  const OTHER = 'zerog/digits-too'
  type Finding = { check: string; state: 'ok' | 'warn' | 'fail'; found: string; mend?: string }
  let cwd: string
  let port: number
  let agent: RunningCli | undefined
  let operator = ''

  before(async () => {
    cwd = join(tempDir(), 'operator')
    mkdirSync(cwd)
    port = await freePort()
    const terms = { ...OPEN_TERMS, manifestRoot: digitsRoot, kind: 'classification', licence: 'MIT' }
    const registered = { modelId: OTHER, terms: { ...terms, inputFloorWei: 400n } }
    await world.send(world.account(7), registerModelCall(world.chain, registered))
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
    ...['--port', String(port), '--model', OTHER],
    ...['--input-price', '500wei', '--output-price', '0', '--execution-provider', 'cpu'],
  ]

  async function doctor(env: Record<string, string> = {}) {
    const done = await run(['doctor'], env)
    const { healthy, findings } = done.json<{ healthy: boolean; findings: Finding[] }>()
    assert.equal(healthy, done.code === 0)
    return { findings, failed: findings.filter(({ state }) => state === 'fail') }
  }

  it('error: bad choices write no .env', async () => {
    const at = ['--port', String(port), '--model', OTHER]
    const cases: [args: string[], code: string][] = [
      [[...at, '--model-dir', 'nowhere'], 'COMPUTE_MODEL_INVALID'],
      [[...at, '--model-dir', cwd], 'COMPUTE_MODEL_INVALID'],
      [[...at, '--input-price', '399wei'], 'PRICE_TOO_LOW'],
      [[...at, '--model-root', `0x${'ab'.repeat(32)}`], 'UNKNOWN_ROOT'],
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
      [
        env.MODEL_ID,
        env.MODEL_ROOT,
        env.MODEL_OWNER,
        env.INPUT_PRICE_WEI,
        env.OUTPUT_PRICE_WEI,
        env.EXECUTION_PROVIDER,
      ],
      [OTHER, digitsRoot, world.account(7).address, '500', '0', 'cpu'],
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
    for (const check of [
      'balance',
      'stake',
      'service',
      'signer',
      'endpoint',
      'registry',
      'agent',
      'model',
      'disk',
    ])
      assert.ok(checks.includes(check), check)
  })

  it('doctor: what is wrong with a listed provider, and how to mend it', async () => {
    const wrongUrl = await doctor({ PUBLIC_URL: 'http://127.0.0.1:1' })
    assert.deepEqual(
      wrongUrl.failed.map(({ check }) => check),
      ['endpoint', 'agent'],
    )
    const other = await doctor({ INPUT_PRICE_WEI: '501' })
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
        ...{ MODEL_ROOT: '', MODEL_DIR: join(cwd, 'broken') },
      },
    })
    await until('it says what is wrong with the model', async () => {
      const { failed } = await doctor()
      return failed.length === 1 && at(failed, 0).check === 'model'
    })
  })
})
