import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { drawsOf } from '../../../agents/storage/draws.ts'
import { readDealState, readIsResolved, readRound } from '../../../sdk/chain/storage.ts'
import { handOverCall } from '../../../sdk/chain/storage-calls.ts'
import { marketDomain, signStorageMessage } from '../../../sdk/protocol/typed-data.ts'
import { at } from '../../support/content.ts'
import { startRpcProxy } from '../../support/rpc-proxy.ts'
import { until } from '../../support/until.ts'
import { type StorageAgent, type StorageWorld, startWorld } from './storage-world.ts'
import {
  assign,
  collectSignatures,
  makeDeal,
  prepareRandom,
  proposalOf,
  putShards,
  seal,
  shardUrl,
  submit,
} from './upload-deal.ts'

describe('storage agents while the chain changes its mind', () => {
  let world: StorageWorld
  let agents: StorageAgent[]

  before(async () => {
    world = await startWorld({ providers: 7 })
    agents = await Promise.all(
      world.providers.map((provider) => provider.start({ REPAIR_RETRY_BLOCKS: '2' })),
    )
  })
  after(() => world.stop())

  it('behavior: a seal that a reorganization undid is forgotten, and the same signatures seal again', async () => {
    const prepared = prepareRandom(50_000, 51)
    const keepers = assign(prepared, world.providers.slice(0, 6))
    const txSeq = await submit(world, prepared)
    await putShards(txSeq, prepared, keepers)
    const signed = await collectSignatures(txSeq, proposalOf(prepared, keepers), keepers)
    await world.anvil.mine(3)
    await seal(world, txSeq, prepared, signed)
    await world.anvil.mine(2)
    await world.settle(agents)
    assert.ok(agents.every(({ context }) => context.index.deal(txSeq)))
    await world.anvil.rpc('anvil_reorg', 4, [])
    assert.equal(await readDealState(world.chain, txSeq), 'submitted')
    await world.anvil.mine(1)
    await until('all have forgotten the seal', () =>
      agents.every(
        ({ context }) => context.index.deal(txSeq) === undefined && context.index.entryCount() === 0,
      ),
    )
    assert.equal((await fetch(shardUrl(at(keepers, 0), txSeq, 0))).status, 403)
    await seal(world, txSeq, prepared, signed)
    await world.settle(agents)
    await until('all know the seal again', () => agents.every(({ context }) => context.index.deal(txSeq)))
    assert.equal((await fetch(shardUrl(at(keepers, 0), txSeq, 0))).status, 200)
  })

  it('behavior: shards of a submission that a reorganization dropped are kept until it is back', async () => {
    const prepared = prepareRandom(30_000, 53)
    const keepers = assign(prepared, world.providers.slice(0, 6))
    const txSeq = await submit(world, prepared)
    const submittedAt = await world.head()
    await putShards(txSeq, prepared, keepers)
    await world.anvil.mine(2)
    await world.settle(agents)
    const before = await world.head()
    await world.anvil.rpc('anvil_reorg', before - submittedAt + 1, [])
    assert.equal(await readDealState(world.chain, txSeq), 'none')
    // Long enough for everybody to look at what may be deleted.
    await world.anvil.mine(17)
    const hasLooked = async ({ status }: StorageAgent): Promise<boolean> => {
      const duties = (await status()).duties as { name: string; readAt: number }[]
      return duties.some(({ name, readAt }) => name === 'prune-ended' && readAt > before)
    }
    for (const agent of agents) await until('the shards were looked at', () => hasLooked(agent))
    assert.equal(await submit(world, prepared), txSeq)
    const signed = await collectSignatures(txSeq, proposalOf(prepared, keepers), keepers)
    await seal(world, txSeq, prepared, signed)
  })

  it('behavior: logs of the last seal that the RPC left out are read again, a block behind the head', async (t) => {
    const proxy = await startRpcProxy(world.anvil.rpcUrl)
    t.after(proxy.stop)
    await at(agents, 6).stop()
    let isLeftOut = false
    const agent = await world.provider(6).start({ RPC_URL: proxy.rpcUrl, CONFIRMATIONS: '1' })
    await world.anvil.mine(2)
    await until('the logs so far are read', () => agent.context.index.appliedTo() > 0)
    const { topicHash } = world.chain.contracts.market.interface.getEvent('Sealed')
    proxy.tamper(({ method }, answer) => {
      const logs = method === 'eth_getLogs' ? (answer.result as { topics: string[] }[]) : []
      if (isLeftOut || !logs.some(({ topics }) => topics[0] === topicHash)) return answer
      isLeftOut = true
      return { result: [] }
    })
    const { txSeq } = await makeDeal(world, prepareRandom(20_000, 54), {
      providers: world.providers.slice(0, 6),
    })
    await world.advance('the agent knows the deal', () => agent.context.index.deal(txSeq) !== undefined)
    assert.ok(isLeftOut)
    await agent.stop()
    agents[6] = await world.provider(6).start({ REPAIR_RETRY_BLOCKS: '2' })
  })

  it('behavior: a shard that is handed over is rebuilt by its successor and deleted by its predecessor', async () => {
    const prepared = prepareRandom(400_000, 52)
    const { txSeq, keepers, proposal } = await makeDeal(world, prepared, {
      providers: world.providers.slice(0, 6),
    })
    await world.settle(agents)
    await world.enterPeriod((await world.period()) + 1n)
    const shardIndex = 3
    const [former, successor] = [at(keepers, shardIndex), world.provider(6)]
    const { chain } = world
    const { pricePerSectorPeriod, shardHeight } = await chain.contracts.market.deal(txSeq)
    const ratePerPeriod =
      (2n ** shardHeight * pricePerSectorPeriod * (10_000n - chain.terms.potBps)) / 10_000n
    const validUntil = BigInt(await world.head()) + 50n
    const signature = await signStorageMessage(
      successor.wallet,
      marketDomain(chain.chainId, chain.book.contracts.StorageMarket.address),
      {
        type: 'Takeover',
        message: {
          txSeq,
          shardIndex: BigInt(shardIndex),
          custodyRoot: proposal.custodyRoot,
          ratePerPeriod,
          validUntil,
        },
      },
    )
    const call = handOverCall(chain, {
      txSeq,
      shardIndex,
      successor: successor.wallet.address,
      providers: keepers.map(({ wallet }) => wallet.address),
      shardRoots: prepared.roots,
      validUntil,
      signature,
    })
    await stopAndStart(async () => {
      await world.send(former.wallet, call)
    })
    await world.manualBlocks()
    const held = (index: number) => agents[index]?.context.shards.info({ txSeq, index: shardIndex })
    await world.advance('the successor has the shard', () => held(6)?.state === 'complete')
    const response = await fetch(shardUrl(successor, txSeq, shardIndex))
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(at(prepared.shards, shardIndex)))

    const period = (await world.period()) + 1n
    await world.enterPeriod(period)
    await world.advance('the round is open', async () => (await readRound(chain, period)).draws > 0, {
      blocks: 8,
    })
    await world.settle(agents)
    const { context, head } = at(agents, 0)
    const draws = await drawsOf({ ...context, head: head() }, period)
    assert.ok(draws.length > 0)
    // Blocks come fast from here on: faster than a busy machine answers.
    await world.advance('all draws are answered', async () => {
      const resolved = await Promise.all(draws.map(({ draw }) => readIsResolved(chain, { period, draw })))
      return resolved.every(Boolean)
    })
    await world.advance('the predecessor has deleted it', () => held(3) === undefined, {
      blocks: 120,
      blockMs: 100,
    })
    const { prover } = chain.contracts
    const missed = await prover.queryFilter(prover.filters.Missed())
    const fault = missed.find((event) => event.args.period === period)
    assert.equal(fault, undefined)

    /** One key has one sender: the agent of the account rests while the test sends from it. */
    async function stopAndStart(send: () => Promise<void>): Promise<void> {
      const index = world.providers.indexOf(former)
      await agents[index]?.stop()
      await send()
      agents[index] = await former.start({ REPAIR_RETRY_BLOCKS: '2' })
    }
  })
})
