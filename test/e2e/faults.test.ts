import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { readAuditRecord } from '../../scripts/demo/audit-record.ts'
import type { DevnetAgent } from '../../scripts/devnet/start-devnet.ts'
import { decodeStorageEvent, eventFilter } from '../../sdk/chain/events.ts'
import { readDealState, readVault } from '../../sdk/chain/storage.ts'
import { downloadPath, uploadPath } from '../../sdk/client/paths-node.ts'
import { memoryStateStore } from '../../sdk/client/state-store.ts'
import type { UploadResult } from '../../sdk/client/upload.ts'
import { periodAt, periodStart } from '../../sdk/protocol/clock.ts'
import { type AnvilNetwork, startAnvilNetwork } from '../support/anvil-network.ts'
import { startRpcProxy } from '../support/rpc-proxy.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'

const MINUTE_MS = 60_000

let network: AnvilNetwork
let folder: string
/** Agents that will kill themselves; a test that failed must not leave one to the next. */
const armed = new Set<DevnetAgent>()

before(
  async () => {
    folder = tempDir()
    network = await startAnvilNetwork({ agentCount: 8 })
  },
  { timeout: 3 * MINUTE_MS },
)
after(() => network?.stop(), { timeout: MINUTE_MS })
afterEach(
  async () => {
    const ill = network.agents.filter((agent) => agent.child.ended() !== undefined || armed.has(agent))
    await Promise.all(ill.map(restart))
  },
  { timeout: 2 * MINUTE_MS },
)

/** A new random file. */
function makeFile(byteLength: number): string {
  const path = join(folder, randomBytes(6).toString('hex'))
  writeFileSync(path, randomBytes(byteLength))
  return path
}

function upload(path: string): Promise<UploadResult> {
  return uploadPath({ chain: network.chain, path, signer: network.user, stateStore: memoryStateStore() })
}

/** The file is there byte for byte, its deal is sealed, and it was paid for exactly once. */
async function assertStoredOnce(path: string, { root, txSeq }: UploadResult): Promise<void> {
  const copy = join(folder, randomBytes(6).toString('hex'))
  await downloadPath({ chain: network.chain, root, path: copy })
  assert.deepEqual(await readFile(copy), await readFile(path))
  assert.equal(await readDealState(network.chain, txSeq), 'sealed')
  const submissions = (await eventsNamed('Submit')).flatMap((event) =>
    event.name === 'Submit' ? [event.args] : [],
  )
  const own = submissions.find(({ submissionIndex }) => submissionIndex === txSeq)
  // Files here are random, so the same nodes mean the same file: submitted, and so paid for, once.
  const same = submissions.filter(({ identity }) => identity === own?.identity)
  assert.deepEqual(
    same.map(({ submissionIndex }) => submissionIndex),
    [txSeq],
  )
  await assertVaultBalances()
}

/** Every wei in the vault is somebody's, and nothing more. */
async function assertVaultBalances(): Promise<void> {
  const blockTag = await network.provider.getBlockNumber()
  const vault = await readVault(network.chain, { blockTag })
  const balanceWei = await network.provider.getBalance(
    network.chain.book.contracts.StorageStreams.address,
    blockTag,
  )
  const { escrowWei, streamingWei, potWei, bondsWei, creditsWei } = vault
  assert.equal(escrowWei + streamingWei + potWei + bondsWei + creditsWei, balanceWei)
}

async function eventsNamed(name: 'Submit' | 'Answered') {
  const { book } = network.chain
  const logs = await network.provider.getLogs({
    ...eventFilter(book, [name]),
    fromBlock: 0,
    toBlock: 'latest',
  })
  return logs.map((log) => decodeStorageEvent(book, log)).filter((event) => event !== undefined)
}

/** Waits for the end of a period begun from now on, and wants every draw of it answered. */
async function assertNextPeriodAnswered(): Promise<void> {
  const { chain, provider } = network
  const fromBlock = await provider.getBlockNumber()
  const present = periodAt(chain.terms, BigInt(fromBlock))
  const found = await until(
    'a period begun from now on is over, or all its draws are answered',
    async () => {
      const period = (await readAuditRecord(chain, provider, fromBlock)).periods.find(
        (candidate) => candidate.period > present,
      )
      if (period === undefined || period.answered === period.draws) return period
      const end = periodStart(chain.terms, period.period + 1n)
      return BigInt(await provider.getBlockNumber()) >= end ? period : undefined
    },
    3 * MINUTE_MS,
  )
  assert.deepEqual(
    { ...found, period: 0n },
    { period: 0n, draws: found.draws, answered: found.draws, missed: 0 },
  )
}

function agentOf(operator: string): DevnetAgent {
  const agent = network.agents.find(({ address }) => address === operator)
  assert.ok(agent)
  return agent
}

/** Restarts an agent so that it kills itself at a crash point, once; it may get there before it is ready. */
async function armCrash(agent: DevnetAgent, point: string): Promise<void> {
  armed.add(agent)
  try {
    await network.restartAgent(agent, { ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: point })
  } catch (error) {
    if (agent.child.ended() !== 'SIGKILL') throw error
  }
}

async function restart(agent: DevnetAgent): Promise<void> {
  await network.restartAgent(agent)
  armed.delete(agent)
}

async function waitCrashed(agent: DevnetAgent): Promise<void> {
  await until(
    `${agent.name} was killed at its crash point`,
    () => agent.child.ended() === 'SIGKILL',
    3 * MINUTE_MS,
  )
}

describe('an agent killed with SIGKILL', () => {
  for (const point of [
    'put-mid-chunk',
    'after-shard-write',
    'after-sign-record',
    'after-sign-before-reply',
  ]) {
    it(`at ${point}: the upload ends sealed and paid once, and the agent comes back`, {
      timeout: 5 * MINUTE_MS,
    }, async () => {
      const path = makeFile(1_500_000)
      const victims = network.agents.slice(0, 2)
      for (const victim of victims) await armCrash(victim, point)
      const before = (await eventsNamed('Submit')).length
      const result = await upload(path)
      assert.equal((await eventsNamed('Submit')).length, before + 1)
      const crashed = victims.filter(({ child }) => child.ended() === 'SIGKILL')
      assert.ok(crashed.length > 0, 'at least one of the armed agents got as far as its crash point')
      for (const victim of victims) await restart(victim)
      await assertStoredOnce(path, result)
    })
  }

  it('between signing and answering: draws are answered once, and nobody is slashed', {
    timeout: 6 * MINUTE_MS,
  }, async () => {
    const points = ['before-answer-send', 'sender-after-write', 'sender-after-broadcast']
    // So large beside the files before that each custodian is drawn in nearly every period, or never acts here.
    const { custodians } = await upload(makeFile(16_000_000))
    const victims = points.map((_, i) => agentOf(custodians[i]?.provider ?? ''))
    for (const [i, victim] of victims.entries()) {
      await armCrash(victim, points[i] ?? '')
      await waitCrashed(victim)
      await restart(victim)
    }
    await assertNextPeriodAnswered()
    const answers = (await eventsNamed('Answered')).map((event) =>
      event.name === 'Answered' ? `${event.args.period}-${event.args.draw}` : '',
    )
    assert.equal(new Set(answers).size, answers.length, 'no draw was answered twice')
    await assertVaultBalances()
  })
})

describe('infrastructure that dies', () => {
  it('Redis killed: it is started again and the next period is answered', {
    timeout: 5 * MINUTE_MS,
  }, async () => {
    await upload(makeFile(300_000))
    const fromBlock = await network.provider.getBlockNumber()
    await until(
      'a round has just been opened: its draws wait for answers',
      async () => (await readAuditRecord(network.chain, network.provider, fromBlock)).periods.length > 0,
      2 * MINUTE_MS,
    )
    const pid = network.redis.pid()
    assert.ok(pid)
    process.kill(pid, 'SIGKILL')
    await until('another Redis runs', async () => network.redis.pid() !== pid && (await network.redis.ping()))
    await assertNextPeriodAnswered()
  })

  it('the chain RPC restarted: agents reconnect and the next period is answered', {
    timeout: 5 * MINUTE_MS,
  }, async () => {
    const path = makeFile(300_000)
    const result = await upload(path)
    await network.restartChain()
    await assertNextPeriodAnswered()
    await assertStoredOnce(path, result)
  })
})

describe('a chain that changes its mind', () => {
  it('a reorg of 5 blocks under a seal: sealed again, paid once', { timeout: 6 * MINUTE_MS }, async () => {
    const path = makeFile(400_000)
    const stateStore = memoryStateStore()
    const options = { chain: network.chain, path, signer: network.user, stateStore }
    const first = await uploadPath(options)
    await network.anvil().rpc('anvil_reorg', 5, [])
    const state = await readDealState(network.chain, first.txSeq)
    assert.notEqual(state, 'sealed', 'the reorg took the seal away')
    const before = (await eventsNamed('Submit')).length
    const second = await uploadPath(options)
    const paidAgain = (await eventsNamed('Submit')).length - before
    assert.equal(
      paidAgain,
      state === 'submitted' ? 0 : 1,
      'paid again only if the reorg took the payment itself',
    )
    await assertStoredOnce(path, second)
    await assertNextPeriodAnswered()
  })

  it('an RPC that repeats and leaves out events: the agent answers all the same', {
    timeout: 6 * MINUTE_MS,
  }, async () => {
    const proxy = await startRpcProxy(network.node.url)
    const { provider } = (await upload(makeFile(300_000))).custodians[0] ?? { provider: '' }
    const agent = agentOf(provider)
    const leftOut = proxy.repeatAndLeaveOut(
      eventFilter(network.chain.book, ['Appended', 'RoundOpened']).topics[0],
    )
    try {
      await network.restartAgent(agent, { RPC_URL: proxy.rpcUrl })
      await upload(makeFile(300_000))
      await until('events were left out', () => leftOut() > 0, 2 * MINUTE_MS)
      await assertNextPeriodAnswered()
    } finally {
      await network.restartAgent(agent)
      await proxy.stop()
    }
  })
})
