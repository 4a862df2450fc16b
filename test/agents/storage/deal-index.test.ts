import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Duty } from '../../../agents/kernel/duty.ts'
import type { ChainLog, Follower } from '../../../agents/kernel/follower.ts'
import type { SubmitRequest } from '../../../agents/kernel/sender.ts'
import { openStore, type Store } from '../../../agents/kernel/store.ts'
import { storageEnv } from '../../../agents/storage/config.ts'
import type { StorageContext } from '../../../agents/storage/context.ts'
import { type DealIndex, openDealIndex } from '../../../agents/storage/deal-index.ts'
import { claimPay } from '../../../agents/storage/duties/claim-pay.ts'
import { openRound } from '../../../agents/storage/duties/open-round.ts'
import { createSubmissionViews } from '../../../agents/storage/submission-view.ts'
import { type AddressBook, CONTRACT_NAMES, parseAddressBook } from '../../../sdk/chain/address-book.ts'
import { connectChain } from '../../../sdk/chain/connect.ts'
import { eachProvider } from '../../../sdk/chain/operators.ts'
import { readRound } from '../../../sdk/chain/storage.ts'
import { custodyLeaf, custodyRoot } from '../../../sdk/protocol/custody.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { at } from '../../support/content.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import { type SealedDeal, sealFile, sign, submitFile } from '../../support/storage-deal.ts'
import {
  currentPeriod,
  deployStorage,
  enterPeriod,
  type StorageSystem,
} from '../../support/storage-fixture.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { silent } from '../kernel/kernel-fixture.ts'

const stores: Store[] = []

function gapFrom(block: number) {
  return (error: unknown) => {
    assert.ok(isZerogError(error), String(error))
    assert.equal(error.code, 'LOG_GAP')
    assert.equal(error.meta.fromBlock, block)
    return true
  }
}

describe('deal index', () => {
  let system: StorageSystem
  let book: AddressBook
  let deals: SealedDeal[]
  let logs: ChainLog[]
  let handedOverTo: string
  let handOverPeriod: bigint

  before(async () => {
    system = await deployStorage({ providers: 7 })
    const addresses = [
      system.beacon,
      system.registry,
      system.staking,
      system.streams,
      system.prover,
      system.market,
      system.flow,
    ].map(({ target }) => ({ address: String(target), block: 0 }))
    book = parseAddressBook({
      schema: 1,
      chainId: 31_337,
      network: 'localhost',
      deployedAtBlock: 0,
      contracts: Object.fromEntries(CONTRACT_NAMES.map((name, i) => [name, at(addresses, i)])),
    })
    const six = system.providers.slice(0, 6)
    deals = []
    for (const seed of [1, 2, 3]) {
      const file = shardFile(sampleBytes(9000 * seed, seed))
      const count = file.shardRoots.length
      const assignment = Array.from({ length: count }, (_, index) => at(six, index % 6))
      deals.push(await sealFile(system, file, { assignment, termPeriods: seed === 1 ? 5n : 100n }))
    }
    handOverPeriod = (await handOver(at(deals, 1), 2)) + 1n
    handedOverTo = at(system.providers, 6).address.toLowerCase()
    const { provider } = system.ethers
    logs = (await provider.getLogs({ fromBlock: 0, toBlock: 'latest' })).map((log) => ({
      address: log.address.toLowerCase(),
      topics: [...log.topics],
      data: log.data,
      blockNumber: log.blockNumber,
      blockHash: log.blockHash,
      transactionHash: log.transactionHash,
      transactionIndex: log.transactionIndex,
      logIndex: log.index,
    }))
  })
  after(() => {
    for (const store of stores) store.close()
  })

  /** The custodian of a shard hands it to the seventh provider; returns the period of the change. */
  async function handOver(deal: SealedDeal, shardIndex: number): Promise<bigint> {
    const { market } = system
    await enterPeriod(system, (await currentPeriod(system)) + 1n)
    const successor = at(system.providers, 6)
    const validUntil = (await system.chain.head()) + 100n
    const shardWei = BigInt(deal.file.layout.shardSectors) * deal.sectorPriceWei
    const ratePerPeriod = (shardWei * (10_000n - system.params.potBps)) / 10_000n
    const message = {
      txSeq: deal.txSeq,
      shardIndex: BigInt(shardIndex),
      custodyRoot: deal.custodyRoot,
      ratePerPeriod,
      validUntil,
    }
    const signature = await sign(system, successor, { type: 'Takeover', message })
    const from = system.providers.find(({ address }) => address === deal.holders[shardIndex])
    assert.ok(from)
    await market.connect(from).handOver({
      txSeq: deal.txSeq,
      shardIndex,
      successor,
      providers: deal.holders,
      shardRoots: deal.file.shardRoots,
      validUntil,
      signature,
    })
    return currentPeriod(system)
  }

  function openIndex(): { index: DealIndex; follower: Follower; store: Store } {
    const store = openStore(join(tempDir(), 'index.sqlite'))
    stores.push(store)
    const index = openDealIndex(store)
    return { index, follower: index.follower(book), store }
  }

  /** Feeds logs as the kernel does: one transaction, undone when the handler throws. */
  function feed({ follower, store }: ReturnType<typeof openIndex>, some: readonly ChainLog[]): void {
    const blocks = some.map(({ blockNumber }) => blockNumber)
    const range = { fromBlock: Math.min(...blocks), toBlock: Math.max(...blocks) }
    store.transaction((tx) => follower.onLogs(some, tx, range))
  }

  const prover = () => String(system.prover.target).toLowerCase()
  const named = (name: string, follower: Follower) => logs.filter((log) => follower.eventName?.(log) === name)

  it('default: deals, custodians by period and line entries, as the chain has them', async () => {
    const opened = openIndex()
    feed(opened, logs)
    const { index } = opened
    for (const deal of deals) {
      const indexed = index.deal(deal.txSeq)
      assert.ok(indexed)
      assert.equal(indexed.endPeriod, deal.endPeriod)
      assert.equal(indexed.dataShards, deal.file.layout.dataShards)
      for (const period of [deal.startPeriod, handOverPeriod, handOverPeriod + 5n]) {
        const view = await system.market.custodyAt(deal.txSeq, period)
        assert.equal(custodyRoot(index.custodiesAt(deal.txSeq, period).map(custodyLeaf)), view.custodyRoot)
      }
    }
    assert.equal(BigInt(index.entryCount()), await system.prover.entryCount())
    for (let i = 0n; i < BigInt(index.entryCount()); i++) {
      const { start, sectors, txSeq } = await system.prover.entry(i)
      assert.deepEqual(index.entryAt(start), { entryIndex: i, txSeq, start, sectors })
      assert.deepEqual(index.entryAt(start + sectors - 1n), { entryIndex: i, txSeq, start, sectors })
    }
    assert.equal(index.entryAt(10n ** 12n), undefined)
  })

  it('behavior: a hand-over counts from its period on', () => {
    const opened = openIndex()
    feed(opened, logs)
    const { index } = opened
    const { txSeq, holders } = at(deals, 1)
    const former = at(holders, 2)
    assert.equal(index.custodiesAt(txSeq, handOverPeriod - 1n)[2]?.provider, former.toLowerCase())
    assert.equal(index.custodiesAt(txSeq, handOverPeriod)[2]?.provider, handedOverTo)
    const holds = (who: string, period: bigint) =>
      index.heldBy(who, period).some((shard) => shard.txSeq === txSeq && shard.index === 2)
    assert.ok(holds(former, handOverPeriod - 1n))
    assert.ok(holds(handedOverTo, handOverPeriod - 1n), 'the successor prepares before its period')
    assert.ok(!holds(former, handOverPeriod))
    assert.ok(index.custodians(handOverPeriod).includes(handedOverTo))
  })

  it('behavior: pages of any size give the same; what is rolled back and read again, too', () => {
    const whole = openIndex()
    feed(whole, logs)
    const paged = openIndex()
    const blocks = [...new Set(logs.map(({ blockNumber }) => blockNumber))]
    const feedBlock = (block: number) =>
      feed(
        paged,
        logs.filter(({ blockNumber }) => blockNumber === block),
      )
    for (const block of blocks) feedBlock(block)
    const content = ({ store }: ReturnType<typeof openIndex>) =>
      ['deal', 'custody', 'line_entry'].map((table) => store.all(`SELECT * FROM ${table} ORDER BY 1, 2, 3`))
    assert.deepEqual(content(paged), content(whole))
    const sealedAt = named('Sealed', paged.follower).map(({ blockNumber }) => blockNumber)
    for (const back of [at(sealedAt, 1) - 1, at(sealedAt, 0) - 1, -1]) {
      paged.store.transaction((tx) => paged.follower.onRollback(back, tx))
      for (const block of blocks) if (block > back) feedBlock(block)
      assert.deepEqual(content(paged), content(whole))
    }
  })

  it('error: a missing entry is a gap from the last one that is known; nothing of the page is kept', () => {
    const opened = openIndex()
    const appended = named('Appended', opened.follower)
    assert.ok(appended.every(({ address }) => address === prover()))
    const [first, second] = [at(appended, 0), at(appended, 1)]
    const upToFirst = logs.filter(({ blockNumber }) => blockNumber <= first.blockNumber)
    feed(opened, upToFirst)
    const rest = logs.filter((log) => log.blockNumber > first.blockNumber && log !== second)
    assert.throws(() => feed(opened, rest), gapFrom(first.blockNumber))
    assert.equal(opened.index.entryCount(), 1)
    feed(
      opened,
      logs.filter(({ blockNumber }) => blockNumber > first.blockNumber),
    )
    assert.equal(opened.index.entryCount(), 3)
  })

  it('error: a missing Sealed, a changed custodian or a missing deal of a hand-over is a gap', () => {
    const sealed = at(named('Sealed', openIndex().follower), 1)
    const without = openIndex()
    assert.throws(
      () =>
        feed(
          without,
          logs.filter((log) => log !== sealed),
        ),
      (error) => isZerogError(error) && error.code === 'LOG_GAP',
    )
    const stranger = '00000000000000000000000000000000000000aa'
    const former = at(at(deals, 1).holders, 0).slice(2).toLowerCase()
    const forged = logs.map((log) =>
      log === sealed ? { ...log, data: log.data.replace(former, stranger) } : log,
    )
    assert.throws(() => feed(openIndex(), forged), gapFrom(sealed.blockNumber))
    const change = at(named('CustodyHandedOver', without.follower), 0)
    assert.throws(() => feed(openIndex(), [change]), gapFrom(change.blockNumber))
  })

  it('behavior: distrusted, it asks once for the logs again', () => {
    const opened = openIndex()
    feed(opened, logs)
    assert.ok(opened.index.appliedTo() > 0)
    opened.index.distrust(opened.index.lastEntryBlock())
    const last = at(logs, -1)
    assert.throws(() => feed(opened, [last]), gapFrom(opened.index.lastEntryBlock()))
    feed(opened, [last])
    assert.equal(opened.index.entryCount(), 3)
  })

  it('behavior: deals over are listed until their end is read', async () => {
    const [first] = deals
    assert.ok(first)
    await enterPeriod(system, first.endPeriod + 1n)
    const opened = openIndex()
    feed(opened, logs)
    const holder = at(first.holders, 0)
    assert.deepEqual(
      opened.index.overBefore(first.endPeriod + 1n, holder).map(({ txSeq }) => txSeq),
      [first.txSeq],
    )
    assert.deepEqual(opened.index.overBefore(first.endPeriod, holder), [])
    await system.market.end(first.txSeq)
    const block = Number(await system.chain.head())
    const [raw] = await system.market.queryFilter(system.market.filters.Ended(), block)
    assert.ok(raw)
    const ended = {
      ...at(logs, 0),
      address: raw.address.toLowerCase(),
      topics: [...raw.topics],
      data: raw.data,
      blockNumber: block,
    }
    feed(opened, [ended])
    assert.deepEqual(opened.index.overBefore(first.endPeriod + 1n, holder), [])
    opened.store.transaction((tx) => opened.follower.onRollback(block - 1, tx))
    assert.equal(opened.index.overBefore(first.endPeriod + 1n, holder).length, 1)
  })

  it('behavior: a view of a submission ages while the clock of the machine is set back', async (t) => {
    const { provider } = system.ethers
    const views = createSubmissionViews(await connectChain({ provider, addressBook: book }))
    const txSeq = await submitFile(system, shardFile(sampleBytes(300, 11)))
    const { signal } = new AbortController()
    const view = await views.recent(txSeq, signal)
    const pastMs = Date.now() - 3_600_000
    t.mock.method(Date, 'now', () => pastMs)
    await system.chain.mineTo((await system.chain.head()) + 1n)
    await until(
      'the view is of the new block',
      async () => (await views.recent(txSeq, signal)).block > view.block,
    )
  })

  it('behavior: after a long silence pay is claimed whatever it is worth, and the next round rolls the line', async () => {
    const six = system.providers.slice(0, 6)
    const file = shardFile(sampleBytes(9000, 9))
    const assignment = file.shardRoots.map((_, index) => at(six, index % 6))
    await sealFile(system, file, { assignment, termPeriods: 1000n })
    const bucketPeriods = system.params.bucketPeriods
    const period = (await currentPeriod(system)) + 66n * bucketPeriods
    await enterPeriod(system, period, 4n)

    const { provider } = system.ethers
    const chain = await connectChain({ provider, addressBook: book })
    const needs = async () => {
      const found = new Map<string, bigint | undefined>()
      for await (const { operator, needWei } of eachProvider(chain)) found.set(operator, needWei)
      return six.map(({ address }) => found.get(address))
    }
    assert.ok((await needs()).every((needWei) => needWei === undefined))

    const [wallet] = six
    assert.ok(wallet)
    const context = async () =>
      ({
        ...{ chain, provider, self: wallet.address, signal: AbortSignal.timeout(60_000), log: silent },
        head: { number: Number(await system.chain.head()) },
        index: { custodians: () => [wallet.address.toLowerCase()] },
        storageMetrics: { claimedWei: { inc: () => undefined } },
        crashPoint: () => undefined,
        sender: {
          submit: async ({ to, data }: SubmitRequest) => (await wallet.sendTransaction({ to, data })).wait(),
        },
      }) as unknown as StorageContext
    const perform = async <T>(duty: Duty<T, StorageContext>) => {
      const [item] = await duty.due(await context())
      assert.ok(item, duty.name)
      await duty.perform(item, await context())
    }
    await perform(openRound)
    assert.ok((await readRound(chain, period)).draws > 0)
    const { MIN_CLAIM_WEI: _, ...rest } = storageEnv.parse({})
    await perform(claimPay({ ...rest, MIN_CLAIM_WEI: 10n ** 30n }))
    const [own, ...others] = await needs()
    assert.ok(own !== undefined && own > 0n)
    assert.ok(others.every((needWei) => needWei === undefined))
  })
})
