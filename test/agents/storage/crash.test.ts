import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { readDealState, readLineBounds, readRound } from '../../../sdk/chain/storage.ts'
import { at } from '../../support/content.ts'
import type { RunningProcess } from '../../support/processes.ts'
import { until } from '../../support/until.ts'
import { type StorageAgent, type StorageWorld, startWorld, type WorldProvider } from './storage-world.ts'
import {
  askToSign,
  assign,
  collectSignatures,
  makeDeal,
  prepareRandom,
  proposalOf,
  propose,
  putChunk,
  putShards,
  type Signed,
  seal,
  shardUrl,
  submit,
} from './upload-deal.ts'

const crashAt = (point: string) => ({ ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: point })

/** The agent must have died by SIGKILL, as after a power cut; then it starts again in the same folder. */
async function restartAfterCrash(process: RunningProcess, provider: WorldProvider): Promise<RunningProcess> {
  const { signal } = await process.exited
  assert.equal(signal, 'SIGKILL', process.output())
  return provider.spawn()
}

describe('a storage agent killed at any line', () => {
  let world: StorageWorld
  let others: StorageAgent[]
  let victim: WorldProvider

  before(async () => {
    world = await startWorld()
    victim = world.provider(0)
    others = await Promise.all(world.providers.slice(1).map((provider) => provider.start()))
  })
  after(() => world.stop())

  for (const point of ['put-mid-chunk', 'before-shard-rename', 'after-shard-write']) {
    it(`behavior: ${point}: the upload goes on where HEAD says and the shard is whole`, async () => {
      const prepared = prepareRandom(5_000_000, 31)
      const txSeq = await submit(world, prepared)
      const ref = { txSeq, index: 0, root: at(prepared.roots, 0), shard: at(prepared.shards, 0) }
      const crashing = await victim.spawn(crashAt(point))
      await assert.rejects(putChunk(victim, ref))
      const agent = await restartAfterCrash(crashing, victim)
      const head = await fetch(shardUrl(victim, txSeq, 0), { method: 'HEAD' })
      const offset = Number(head.headers.get('upload-offset') ?? 0)
      if (point === 'put-mid-chunk') {
        assert.equal(head.headers.get('upload-complete'), '?0')
        assert.ok(offset > 0 && offset < ref.shard.length, `${offset}`)
      } else {
        assert.equal(head.headers.get('upload-complete'), '?1')
      }
      const rest = await putChunk(victim, ref, {
        start: Math.min(offset, ref.shard.length - 1),
        end: ref.shard.length,
      })
      assert.equal(((await rest.json()) as { complete: boolean }).complete, true)
      await agent.stop()
    })
  }

  for (const point of ['after-sign-record', 'after-sign-before-reply']) {
    it(`behavior: ${point}: it signs the same again and the deal is sealed`, async () => {
      const prepared = prepareRandom(100_000, 32)
      const keepers = assign(prepared, world.providers)
      const txSeq = await submit(world, prepared)
      const crashing = await victim.spawn(crashAt(point))
      await putShards(txSeq, prepared, keepers)
      const proposal = proposalOf(prepared, keepers)
      for (const provider of world.providers) await propose(provider, txSeq, proposal)
      await assert.rejects(askToSign(victim, txSeq, proposal.custodyRoot))
      const agent = await restartAfterCrash(crashing, victim)
      // What may have left must be kept: another root cannot take the promised shard's place.
      const other = prepareRandom(100_000, 33)
      const swap = await putChunk(victim, {
        txSeq,
        index: 0,
        root: at(other.roots, 0),
        shard: at(other.shards, 0),
      })
      assert.equal(swap.status, 409)
      const signed: Signed[] = await collectSignatures(txSeq, proposal, keepers)
      await seal(world, txSeq, prepared, signed)
      assert.equal(await readDealState(world.chain, txSeq), 'sealed')
      await agent.stop()
    })
  }

  it('behavior: before-answer-send: the restarted agent answers all its draws in time', async () => {
    let crashing = await victim.spawn()
    await makeDeal(world, prepareRandom(200_000, 34))
    await crashing.stop()
    await world.settle(others)
    await world.manualBlocks()
    crashing = await victim.spawn(crashAt('before-answer-send'))
    const { prover } = world.chain.contracts
    const from = await world.head()
    let dead = false
    void crashing.exited.then(() => {
      dead = true
    })
    // Draws are random: until one falls on the victim.
    for (let tries = 0; tries < 10 && !dead; tries++) {
      const period = (await world.period()) + 1n
      await world.enterPeriod(period)
      await world.advance('the round is open', async () => (await readRound(world.chain, period)).draws > 0, {
        blocks: 8,
      })
      await world.advance(
        'the agent died or its draws are answered',
        async () => dead || (await answered(period)),
        {
          blocks: 6,
        },
      )
    }
    const agent = await restartAfterCrash(crashing, victim)
    const period = await world.period()
    await world.advance('all draws are answered', () => answered(period), { blocks: 12 })
    await world.advance('the period is over', async () => (await world.period()) > period, {
      blocks: 24,
      blockMs: 50,
    })
    assert.equal((await prover.queryFilter(prover.filters.Missed(), from)).length, 0)
    await agent.stop()

    async function answered(of: bigint): Promise<boolean> {
      const { draws } = await readRound(world.chain, of)
      const events = await prover.queryFilter(prover.filters.Answered(of), from)
      return draws > 0 && events.length >= Number(draws)
    }
  })

  it('behavior: SIGTERM in the middle of an upload keeps what has arrived and ends with code 0', async () => {
    await world.anvil.rpc('evm_setAutomine', true)
    const prepared = prepareRandom(5_000_000, 35)
    const txSeq = await submit(world, prepared)
    const ref = { txSeq, index: 0, root: at(prepared.roots, 0), shard: at(prepared.shards, 0) }
    const agent = await victim.spawn()
    assert.equal((await putChunk(victim, ref, { start: 0, end: 200_000 })).status, 200)
    agent.kill('SIGTERM')
    assert.deepEqual(await agent.exited, { code: 0, signal: null }, agent.output())
    const next = await victim.spawn()
    const head = await fetch(shardUrl(victim, txSeq, 0), { method: 'HEAD' })
    assert.equal(head.headers.get('upload-offset'), '200000')
    await next.stop()
  })

  it('behavior: configuration errors end the process with their exit code and say what to change', async () => {
    const bare = victim.env({ CAPACITY_BYTES: 'lots', PRIVATE_KEY: '', CHUNK_BYTES: '1' })
    const failing = world.startMain(bare)
    const { code } = await failing.exited
    assert.equal(code, 78)
    assert.match(failing.output(), /CAPACITY_BYTES/)
    assert.match(failing.output(), /CHUNK_BYTES/)
    const elsewhere = world.startMain(victim.env({ ADDRESS_BOOK: '/nowhere/book.json' }))
    assert.equal((await elsewhere.exited).code, 78)
    assert.match(elsewhere.output(), /ADDRESS_BOOK_INVALID/)
  })
})

describe('moveTail', () => {
  it('default: the tail passes entries whose deals are over', async () => {
    const world = await startWorld({ providers: 4 })
    try {
      const agents = await Promise.all(world.providers.map((provider) => provider.start()))
      const short = await makeDeal(world, prepareRandom(2000, 41), { termPeriods: 5n })
      await makeDeal(world, prepareRandom(2000, 42))
      await world.settle(agents)
      await world.manualBlocks()
      assert.equal((await readLineBounds(world.chain)).tailEntry, 0n)
      await world.enterPeriod(short.expiresAt - 1n)
      await world.advance(
        'the tail has moved',
        async () => (await readLineBounds(world.chain)).tailEntry === 1n,
      )
      await until('all know', () => agents.every(({ context }) => context.index.entryCount() === 2))
    } finally {
      await world.stop()
    }
  })
})
