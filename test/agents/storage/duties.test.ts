import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { drawsOf } from '../../../agents/storage/draws.ts'
import { readDealState, readIsSuspended, readRound, readStrikes } from '../../../sdk/chain/storage.ts'
import { at } from '../../support/content.ts'
import { type StorageAgent, type StorageWorld, startWorld, type WorldProvider } from './storage-world.ts'
import { makeDeal, type Prepared, prepareRandom, putChunk, shardUrl, submit } from './upload-deal.ts'

const FAST = { CLAIM_EVERY_BLOCKS: '4', REPAIR_RETRY_BLOCKS: '2', MIN_CLAIM_WEI: '1' }

const shardFile = (provider: WorldProvider, txSeq: bigint, index: number, kind = 'shard') =>
  join(provider.dataDir, 'shards', String(txSeq), `${index}.${kind}`)

/** Overwrites a shard's file so that every byte is wrong, whatever the file holds: to spoil it twice does not mend it. */
function spoil(path: string, shard: Uint8Array): void {
  writeFileSync(
    path,
    shard.map((byte) => byte ^ 0xff),
  )
}

/** How many shards the running agent of a provider has rebuilt, by its own metrics. */
async function rebuiltBy({ url }: WorldProvider): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  const [, count] = /^zerog_storage_shards_repaired_total\{.*\} (\d+)$/m.exec(metrics) ?? []
  return Number(count)
}

/** All draws of a period that need an answer, and how many are resolved. */
async function progress(world: StorageWorld, agent: StorageAgent, period: bigint) {
  const draws = await drawsOf({ ...agent.context, head: agent.head() }, period)
  const { prover } = world.chain.contracts
  const resolved = await Promise.all(draws.map(({ draw }) => prover.isResolved(period, draw)))
  return { draws, open: draws.filter((_, i) => !resolved[i]) }
}

describe('storage duties', () => {
  let world: StorageWorld
  let agents: StorageAgent[]
  let prepared: Prepared
  let deal: Awaited<ReturnType<typeof makeDeal>>

  before(async () => {
    // Dear enough that a period's pay exceeds what claiming it costs.
    world = await startWorld({ listPriceWei: 10n ** 13n })
    agents = await Promise.all(world.providers.map((provider) => provider.start(FAST)))
    prepared = prepareRandom(6_000_000, 21)
    deal = await makeDeal(world, prepared)
    await world.settle(agents)
    await world.manualBlocks()
  })
  after(() => world.stop())

  const anyone = () => at(agents, 0)
  const missed = async (fromBlock: number) => {
    const { prover } = world.chain.contracts
    return (await prover.queryFilter(prover.filters.Missed(), fromBlock)).length
  }

  /** Goes on to the next period and lets its round be opened. */
  async function openNext(): Promise<bigint> {
    const period = (await world.period()) + 1n
    await world.enterPeriod(period)
    await world.advance('the round is open', async () => (await readRound(world.chain, period)).draws > 0, {
      blocks: 8,
    })
    await world.settle(agents.filter((agent) => agent !== stopped))
    return period
  }
  let stopped: StorageAgent | undefined

  it('default: someone opens the round, everyone answers, nobody is missed', async () => {
    const from = await world.head()
    const period = await openNext()
    const { draws } = await progress(world, anyone(), period)
    assert.ok(draws.length > 0)
    await world.advance(
      'all draws are answered',
      async () => (await progress(world, anyone(), period)).open.length === 0,
      {
        blocks: 14,
      },
    )
    assert.equal(await missed(from), 0)
    const { prover } = world.chain.contracts
    const opened = await prover.queryFilter(prover.filters.RoundOpened(period), from)
    assert.equal(opened.length, 1)
  })

  it('behavior: rotten shards are answered for from the others, then rebuilt on disk', async () => {
    const victim = world.provider(1)
    const mine = deal.keepers.flatMap((keeper, index) => (keeper === victim ? [index] : []))
    for (const index of mine) spoil(shardFile(victim, deal.txSeq, index), at(prepared.shards, index))
    const from = await world.head()
    let rebuilt = 0
    // Draws are random: a few periods, until one has fallen on the victim.
    for (let tries = 0; tries < 5 && rebuilt === 0; tries++) {
      const period = await openNext()
      const { draws } = await progress(world, anyone(), period)
      rebuilt += draws.filter(({ provider }) => provider === victim.wallet.address.toLowerCase()).length
      await world.advance(
        'all draws are answered',
        async () => (await progress(world, anyone(), period)).open.length === 0,
        {
          blocks: 14,
        },
      )
    }
    assert.ok(rebuilt > 0)
    assert.equal(await missed(from), 0)
    const drawn = agents[1]?.context.shards.list().filter(({ state }) => state === 'damaged') ?? []
    await world.advance('the drawn shards are rebuilt', () =>
      mine.every((index) => {
        if (!drawn.some((shard) => shard.index === index)) return true
        return readFileSync(shardFile(victim, deal.txSeq, index)).equals(at(prepared.shards, index))
      }),
    )
  })

  it('behavior: the scrub finds what no draw has found', async () => {
    await world.stopAgent(agents[1])
    agents[1] = await world.provider(1).start({ ...FAST, SCRUB_INTERVAL_SEC: '1' })
    const victim = world.provider(1)
    const mine = deal.keepers.flatMap((keeper, index) => (keeper === victim ? [index] : []))
    const index = at(mine, 0)
    const before = await rebuiltBy(victim)
    spoil(shardFile(victim, deal.txSeq, index), at(prepared.shards, index))
    await world.advance('every shard is whole again', () =>
      mine.every((own) => readFileSync(shardFile(victim, deal.txSeq, own)).equals(at(prepared.shards, own))),
    )
    await world.advance('it is counted', async () => (await rebuiltBy(victim)) > before)
  })

  it('behavior: a provider that lost its disk rebuilds it from the chain and the others', async () => {
    const victim = world.provider(2)
    await world.stopAgent(agents[2])
    rmSync(victim.dataDir, { recursive: true, force: true })
    agents[2] = await victim.start(FAST)
    const mine = deal.keepers.flatMap((keeper, index) => (keeper === victim ? [index] : []))
    await world.advance('all its shards are back', async () => {
      const held = agents[2]?.context.shards.list(deal.txSeq) ?? []
      return held.length === mine.length && held.every(({ state }) => state === 'complete')
    })
    for (const index of mine) {
      const response = await fetch(shardUrl(victim, deal.txSeq, index))
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(at(prepared.shards, index)))
    }
  })

  it('behavior: pay of closed periods is claimed and withdrawn to the payout address', async () => {
    const payout = '0x00000000000000000000000000000000000abcde'
    await world.stopAgent(agents[3])
    agents[3] = await world.provider(3).start({ ...FAST, PAYOUT_ADDRESS: payout })
    await world.advance('pay has arrived', async () => (await world.rpc.getBalance(payout)) > 0n)
  })

  it('behavior: what a dead provider leaves unanswered is reported, and it is suspended after three strikes', async () => {
    const dead = world.provider(5)
    stopped = at(agents, 5)
    await world.stopAgent(stopped)
    const from = await world.head()
    let strikes = 0
    for (let tries = 0; tries < 12 && strikes < 3; tries++) {
      const period = await openNext()
      await world.advance(
        'every draw is resolved',
        async () => {
          const { open } = await progress(world, anyone(), period)
          const suspended = await readIsSuspended(world.chain, dead.wallet.address)
          return suspended || open.length === 0
        },
        { blocks: 24 },
      )
      strikes = await readStrikes(world.chain, dead.wallet.address)
    }
    assert.ok(strikes >= 3, `${strikes} strikes`)
    assert.equal(await readIsSuspended(world.chain, dead.wallet.address), true)
    const { prover } = world.chain.contracts
    const misses = await prover.queryFilter(prover.filters.Missed(), from)
    assert.deepEqual(
      [...new Set(misses.map(({ args }) => args.provider))],
      [dead.wallet.address],
      'nobody else missed a draw',
    )
    await world.advance('the reporters have their receipts', async () => {
      const counts = await Promise.all(agents.map(({ context }) => context.storageMetrics.reported.get()))
      return counts.flatMap(({ values }) => values).reduce((sum, { value }) => sum + value, 0) >= 3
    })
  })

  it('behavior: back again, its strikes aged out, it is reinstated', async () => {
    const back = world.provider(5)
    agents[5] = await back.start(FAST)
    stopped = undefined
    const { strikeWindowPeriods } = world.chain.terms
    await world.enterPeriod((await world.period()) + strikeWindowPeriods + 1n)
    await world.advance(
      'it is reinstated',
      async () => !(await readIsSuspended(world.chain, back.wallet.address)),
    )
  })

  it('behavior: a deal whose term is over is closed; its shards are deleted, and those never sealed', async () => {
    const short = prepareRandom(30_000, 22)
    await world.anvil.rpc('evm_setAutomine', true)
    const { txSeq, expiresAt } = await makeDeal(world, short, { termPeriods: 5n })
    const unsealed = prepareRandom(60_000, 23)
    const never = await submit(world, unsealed)
    const ref = { txSeq: never, index: 0, root: at(unsealed.roots, 0), shard: at(unsealed.shards, 0) }
    assert.equal((await putChunk(world.provider(0), ref)).status, 200)
    await world.manualBlocks()
    const holds = (seq: bigint) => agents.some(({ context }) => context.shards.list(seq).length > 0)
    assert.ok(holds(txSeq) && holds(never))
    await world.enterPeriod(expiresAt + 1n)
    await world.advance(
      'the deal is ended',
      async () => (await readDealState(world.chain, txSeq)) === 'ended',
    )
    await world.advance('its shards are gone, and those never sealed', () => !holds(txSeq) && !holds(never), {
      blocks: 120,
      blockMs: 100,
    })
    assert.ok(holds(deal.txSeq))
  })
})
