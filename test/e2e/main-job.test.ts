import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { type DevnetPointer, devnetPointerSchema } from '../../agents/cli/devnet-pointer.ts'
import { bytesSource } from '../../sdk/client/file-source.ts'
import { prepareFile } from '../../sdk/client/prepare.ts'
import { DEFAULT_PARITY } from '../../sdk/protocol/deal-price.ts'
import { type RunningProcess, startProcess } from '../support/processes.ts'
import { ROOT } from '../support/repository.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'

const MINUTE_MS = 60_000
const FILE_BYTES = 3_000_001

/** The summary as JSON: wei and numbers of the chain are decimal strings. */
type SummaryJson = {
  ok: boolean
  steps: { step: string; held: boolean; seconds: number }[]
  file: { bytes: number; root: string; txSeq: string }
  dataShards: number
  parityShards: number
  priceWei: string
  bondWei: string
  spentWei: string
  gas: Record<string, number>
  holders: {
    operator: string
    shards: number[]
    killed: boolean
    answered: number
    missed: number
    slashedWei: string
    earnedWei: string
  }[]
  periods: { draws: number; answered: number; missed: number }[]
  da: {
    blobs: {
      what: string
      bytes: number
      columns: number
      softSeconds?: number
      finalSeconds: number
      gas: { submit: number; soft?: number; final: number }
    }[]
    sample: { verdict: string; samples: number; foolChance: number }
    read: { bytes: number; isRebuilt: boolean }
    nodes: { name: string; seats: number; fate: string; missed: number; slashedWei: string }[]
    draws: number
    answered: number
    missed: number
  }
  compute: {
    models: { id: string; manifestRoot: string; files: number; bytes: number }[]
    services: number
    digits: { images: number; right: number }
    chat: { text: string; provider: string; tokens: number }
    job: {
      provider: string
      lines: number
      units: string
      inputRoot: string
      outputRoot: string
      priceWei: string
    }
    failover: { killed: string; texts: number; code: string; answeredBy: string }
    pay: { name: string; answers: number; verifiedWei: string; settledWei: string }[]
  }
  money: {
    rows: { name: string; beforeWei: string; afterWei: string; owedWei: string }[]
    gasWei: string
    unexplainedWei: string
    uncoveredWei: string
  }
}

let folder: string

before(() => {
  folder = tempDir()
})

function start(name: string, args: readonly string[]): RunningProcess & { base: string } {
  const base = join(folder, name)
  const script = join(ROOT, 'dist/scripts/start.js')
  const options = ['--enable-source-maps', '--disable-warning=ExperimentalWarning']
  const process_ = startProcess(process.execPath, [...options, script, '--once', '--base', base, ...args], {
    cwd: folder,
  })
  return { ...process_, base }
}

/** What the run says about its network once it is up. */
async function pointerOf(run: RunningProcess & { base: string }): Promise<DevnetPointer> {
  let ended: unknown
  void run.exited.then((end) => {
    ended = end
  })
  const file = join(run.base, 'current.json')
  await until('the devnet is up, or the run has ended', () => ended ?? existsSync(file), 5 * MINUTE_MS)
  assert.equal(ended, undefined, run.output())
  return await until('the pointer is written', () =>
    devnetPointerSchema.parse(JSON.parse(readFileSync(file, 'utf8'))),
  )
}

/** Chain, Redis and agents are gone, and so is the pointer that led to them. */
async function assertNothingRuns(base: string, { rpcUrl, redisUrl, agents }: DevnetPointer): Promise<void> {
  assert.ok(!existsSync(join(base, 'current.json')))
  for (const { pid, name } of agents) assert.throws(() => process.kill(pid, 0), /ESRCH/, name)
  for (const url of [rpcUrl, redisUrl, ...agents.map((agent) => agent.url)]) {
    assert.equal(await answers(url), false, url)
  }
}

function answers(url: string): Promise<boolean> {
  const { protocol, hostname, port, pathname } = new URL(url)
  const socket = protocol === 'unix:' ? connect(pathname) : connect(Number(port), hostname)
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

describe('npm start -- --once', () => {
  it('a real file through the whole network: every step holds, the money adds up, nothing stays behind', {
    timeout: 15 * MINUTE_MS,
  }, async () => {
    const bytes = randomBytes(FILE_BYTES)
    const file = join(folder, 'real file')
    const json = join(folder, 'summary.json')
    writeFileSync(file, bytes)
    const run = start('whole', [file, '--json', json])
    const pointer = await pointerOf(run)
    const { code } = await run.exited
    assert.equal(code, 0, run.output())
    const summary = JSON.parse(readFileSync(json, 'utf8')) as SummaryJson

    assert.equal(summary.ok, true)
    assert.equal(summary.steps.length, 20)
    assert.deepEqual(
      summary.steps.filter(({ held }) => !held),
      [],
    )
    const prepared = await prepareFile({ source: bytesSource(bytes), parityShards: DEFAULT_PARITY })
    assert.deepEqual([summary.file.bytes, summary.file.root], [FILE_BYTES, prepared.root])
    assertShards(summary)
    assertAudits(summary)
    assertMoney(summary)
    assertDa(summary)
    assertCompute(summary)
    assertEverybodysMoney(summary)
    for (const step of ['submit', 'seal', 'openRound', 'answer', 'reportMiss']) {
      const gas = summary.gas[step] ?? 0
      assert.ok(gas > 21_000 && gas < 16_777_216, `${step} took ${gas} gas`)
    }
    assert.match(run.output(), /\neverything held, in \d+ s\n/)
    assert.deepEqual(readFileSync(file), bytes)
    await assertNothingRuns(run.base, pointer)
  })

  it('SIGTERM in the middle: ends everything, and says ABORTED', { timeout: 4 * MINUTE_MS }, async () => {
    const file = join(folder, 'small')
    writeFileSync(file, randomBytes(10_000))
    const run = start('interrupted', [file])
    const pointer = await pointerOf(run)
    run.kill('SIGTERM')
    const { code } = await run.exited
    assert.equal(code, 130, run.output())
    assert.match(run.output(), /error ABORTED: /)
    await assertNothingRuns(run.base, pointer)
  })

  const refusals: [name: string, path: string, code: string, exit: number][] = [
    ['a file that is not there', 'nowhere', 'FILE_MISSING', 66],
    ['a folder', 'folder', 'FILE_MISSING', 66],
    ['an empty file', 'empty', 'EMPTY_FILE', 65],
    ['an unknown option', '--fast', 'BAD_REQUEST', 64],
  ]
  for (const [name, path, code, exit] of refusals) {
    it(`error: ${name} is ${code} before anything is started`, { timeout: MINUTE_MS }, async () => {
      writeFileSync(join(folder, 'empty'), '')
      mkdirSync(join(folder, 'folder'), { recursive: true })
      const before = readdirSync(folder).sort()
      const run = start(`refused-${code}`, [path])
      const end = await run.exited
      assert.equal(end.code, exit, run.output())
      assert.match(run.output(), new RegExp(`^error ${code}: `))
      assert.deepEqual(readdirSync(folder).sort(), before)
    })
  }
})

/** Every shard has one holder, nobody has more than the fault tolerance allows. */
function assertShards({ holders, dataShards, parityShards }: SummaryJson): void {
  const shards = holders.flatMap((holder) => holder.shards).sort((a, b) => a - b)
  assert.deepEqual(
    shards,
    Array.from({ length: dataShards + parityShards }, (_, index) => index),
  )
  assert.equal(parityShards, DEFAULT_PARITY)
  for (const holder of holders) assert.ok(holder.shards.length <= 4, `${holder.operator} holds too many`)
}

/** Draws were answered while everybody lived; afterwards only the dead missed. */
function assertAudits({ periods, holders }: SummaryJson): void {
  const whole = periods.filter(({ draws, answered }) => draws > 0 && answered === draws)
  assert.ok(whole.length >= 3, `${whole.length} periods with all draws answered`)
  for (const { draws, answered, missed } of periods) assert.ok(answered + missed <= draws)
  const killed = holders.filter((holder) => holder.killed)
  assert.equal(killed.length, 2)
  for (const holder of killed) {
    assert.ok(holder.missed > 0 && BigInt(holder.slashedWei) > 0n, `${holder.operator} was slashed`)
  }
  for (const holder of holders.filter((candidate) => !candidate.killed)) {
    assert.deepEqual([holder.missed, holder.slashedWei], [0, '0'], `${holder.operator} lives`)
    assert.ok(holder.answered > 0 || holder.shards.length === 0, `${holder.operator} answered`)
  }
  const answered = holders.reduce((sum, holder) => sum + holder.answered, 0)
  assert.equal(
    answered,
    periods.reduce((sum, period) => sum + period.answered, 0),
  )
}

/** Both blobs became FINAL, the light client was content, and only the nodes that were lost missed draws. */
function assertDa({ da }: SummaryJson): void {
  const [manifest, payload] = da.blobs
  assert.deepEqual([manifest?.what, payload?.what], ['manifest', 'payload'])
  assert.ok(manifest?.softSeconds !== undefined && manifest.softSeconds < manifest.finalSeconds)
  assert.ok((manifest.gas.soft ?? 0) > 21_000, 'SOFT was confirmed by a transaction of its own')
  for (const blob of da.blobs) {
    assert.ok(blob.columns >= 107, `${blob.what}: ${blob.columns} columns`)
    assert.ok(blob.gas.submit > 21_000 && blob.gas.final > 21_000)
  }
  assert.equal(payload?.bytes, 3_000_000)
  assert.deepEqual([da.sample.verdict, da.read.bytes, da.read.isRebuilt], ['AVAILABLE', 3_000_000, true])
  // A column that a busy node is late with is made up for with further samples, at a little more risk.
  assert.ok(da.sample.samples >= 16, `${da.sample.samples} samples`)
  assert.ok(da.sample.foolChance < (da.sample.samples === 16 ? 4e-6 : 4e-5), `${da.sample.foolChance}`)
  assert.equal(
    da.nodes.reduce((sum, { seats }) => sum + seats, 0),
    128,
  )
  const lost = da.nodes.filter(({ fate }) => fate !== '')
  assert.deepEqual(lost.map(({ fate }) => fate).sort(), ['killed', 'lost its columns'])
  for (const { name, missed, slashedWei, fate } of da.nodes) {
    if (fate === '') assert.deepEqual([missed, slashedWei], [0, '0'], `${name} lives`)
    else assert.ok(missed > 0 && BigInt(slashedWei) > 0n, `${name} was slashed`)
  }
  assert.ok(da.answered > 0 && da.answered + da.missed <= da.draws)
}

/** The user paid price, bond and gas; providers earned something of the price, and not more than it. */
function assertMoney({ priceWei, bondWei, spentWei, holders }: SummaryJson): void {
  const gasWei = BigInt(spentWei) - BigInt(priceWei) - BigInt(bondWei)
  assert.ok(gasWei > 0n && gasWei < 10n ** 17n, `${gasWei} wei for gas`)
  const earnedWei = holders.reduce((sum, holder) => sum + BigInt(holder.earnedWei), 0n)
  assert.ok(earnedWei > 0n && earnedWei < BigInt(priceWei), `earned ${earnedWei} of ${priceWei}`)
}

/** Both models were served from storage, every answer was verified and paid, and the killed provider was replaced. */
function assertCompute({ compute }: SummaryJson): void {
  const { models, services, digits, chat, job, failover, pay } = compute
  assert.deepEqual(models.map(({ id }) => id).sort(), ['zerog/chat-mini', 'zerog/digits'])
  for (const { manifestRoot, files, bytes } of models) {
    assert.match(manifestRoot, /^0x[0-9a-f]{64}$/)
    assert.ok(files > 3 && bytes > 100_000, `${files} files, ${bytes} bytes`)
  }
  assert.equal(services, 3)
  assert.equal(digits.images, 360)
  assert.ok(digits.right >= 0.97 * digits.images, `${digits.right} of ${digits.images} digits`)
  assert.ok(chat.tokens > 20 && /fox/.test(chat.text), chat.text)
  assert.deepEqual([job.lines, job.units], [18, '360'])
  assert.match(job.outputRoot, /^0x[0-9a-f]{64}$/)
  assert.notEqual(job.inputRoot, job.outputRoot)
  assert.ok(failover.texts > 0 && failover.code !== '')
  assert.notEqual(failover.killed, failover.answeredBy)
  assert.equal(pay.length, 3)
  for (const { name, answers, verifiedWei, settledWei } of pay) {
    // Whoever was killed may have written the receipt of an answer whose last bytes it could not send any more.
    if (name === failover.killed) assert.ok(BigInt(settledWei) >= BigInt(verifiedWei))
    else assert.equal(settledWei, verifiedWei, `${name} was paid for what it answered`)
    assert.ok(answers === 0 || BigInt(settledWei) > 0n)
  }
  assert.ok(pay.reduce((sum, { answers }) => sum + answers, 0) >= 11)
}

/** Differences and gas come to nothing: the customer paid, the providers earned more than their work cost them. */
function assertEverybodysMoney({ money, compute }: SummaryJson): void {
  const rowOf = (name: string) => {
    const row = money.rows.find((candidate) => candidate.name === name)
    assert.ok(row, name)
    return row
  }
  const changeOf = (name: string) => BigInt(rowOf(name).afterWei) - BigInt(rowOf(name).beforeWei)
  const gainOf = (name: string) => changeOf(name) + BigInt(rowOf(name).owedWei)
  const sumWei = money.rows.reduce((sum, { name }) => sum + changeOf(name), 0n)
  assert.equal(sumWei + BigInt(money.gasWei), 0n)
  assert.deepEqual([money.unexplainedWei, money.uncoveredWei], ['0', '0'])
  const vaults = ['LedgerManager', 'InferenceServing', 'JobEscrow'].map((name) => changeOf(name))
  const owedWei = money.rows.reduce((sum, row) => sum + BigInt(row.owedWei), 0n)
  assert.equal(
    vaults.reduce((sum, wei) => sum + wei, 0n),
    owedWei,
  )
  const paidWei = compute.pay.reduce((sum, { settledWei }) => sum + BigInt(settledWei), 0n)
  assert.ok(-gainOf('customer') > paidWei + BigInt(compute.job.priceWei))
  assert.ok(changeOf('model owner') < 0n)
  assert.ok(gainOf('compute-2') > 0n, 'the provider of digits earned by service and job')
}
