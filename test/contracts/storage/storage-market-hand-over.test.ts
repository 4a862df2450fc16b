import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { custodyLeaf, custodyRoot } from '../../../sdk/protocol/custody.ts'
import type { TestSigner } from '../../support/chain.ts'
import { revertsWith } from '../../support/reverts.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import { dealtInTurn, type SealedDeal, sealFile, sign, submitFile } from '../../support/storage-deal.ts'
import {
  addProvider,
  currentPeriod,
  deployStorage,
  enterPeriod,
  type StorageSystem,
} from '../../support/storage-fixture.ts'
import { missUntilSuspended } from '../../support/storage-misses.ts'

const FILE = shardFile(sampleBytes(40_000))
const SHARDS = FILE.shardRoots.length
const MOVED = 3
const LIMIT = 4n

let system: StorageSystem
let deal: SealedDeal
let rateWei: bigint
let successor: TestSigner
before(async () => {
  system = await deployStorage({ providers: 7 })
  deal = await sealFile(system, FILE, { assignment: dealtInTurn(system.providers.slice(0, 6), SHARDS) })
  const { params } = system
  rateWei = (deal.sectorPriceWei * BigInt(FILE.layout.shardSectors) * (10_000n - params.potBps)) / 10_000n
  successor = system.chain.signer(14)
})

const holder = (index: number): TestSigner => {
  const signer = system.providers.find(({ address }) => address === deal.holders[index])
  if (signer === undefined) throw new Error(`nobody keeps shard ${index}`)
  return signer
}

const rootOver = (providers: readonly string[]) =>
  custodyRoot(
    providers.map((provider, index) =>
      custodyLeaf({ index, provider, shardRoot: FILE.shardRoots[index] ?? '' }),
    ),
  )

type Options = {
  to?: TestSigner
  shardIndex?: number
  providers?: string[]
  shardRoots?: string[]
  /** What the successor signs, when not what is asked of it. */
  signed?: { txSeq?: bigint; shardIndex?: bigint; custodyRoot?: string; ratePerPeriod?: bigint }
  signer?: TestSigner
  validUntil?: bigint
  txSeq?: bigint
}

/** A change of one shard to `to`, with its signature. */
async function changeOf({ to = successor, shardIndex = MOVED, ...options }: Options = {}) {
  const txSeq = options.txSeq ?? deal.txSeq
  const providers = options.providers ?? deal.holders
  const validUntil = options.validUntil ?? (await system.head()) + 1000n
  const message = {
    txSeq,
    shardIndex: BigInt(shardIndex),
    custodyRoot: rootOver(providers),
    ratePerPeriod: rateWei,
    validUntil,
    ...options.signed,
  }
  const signature = await sign(system, options.signer ?? to, { type: 'Takeover', message })
  return {
    txSeq,
    shardIndex,
    successor: to.address,
    providers,
    shardRoots: options.shardRoots ?? FILE.shardRoots,
    validUntil,
    signature,
  }
}

const handOver = (change: Awaited<ReturnType<typeof changeOf>>, caller = holder(MOVED)) =>
  system.market.connect(caller).handOver(change)

const refused = async (options: Options, error: string, args?: readonly unknown[]) =>
  revertsWith(handOver(await changeOf(options)), system.market, error, args)

describe('handOver', () => {
  it('default: from the next period on the successor answers and is paid, until then its predecessor', () =>
    system.rolledBack(async () => {
      const { market, streams } = system
      const from = holder(MOVED)
      const before = await streams.rateOf(from)
      await handOver(await changeOf())

      const period = (await currentPeriod(system)) + 1n
      const next = rootOver(deal.holders.with(MOVED, successor.address))
      assert.equal((await market.custodyAt(deal.txSeq, period - 1n)).custodyRoot, deal.custodyRoot)
      assert.equal((await market.custodyAt(deal.txSeq, period)).custodyRoot, next)
      assert.equal((await streams.rateOf(from)).nextWei, before.nextWei - rateWei)
      assert.deepEqual([...(await streams.rateOf(successor))], [0n, rateWei])
      assert.ok((await streams.needOf(successor)) > 0n)
      const [event] = await market.queryFilter(market.filters.CustodyHandedOver(deal.txSeq))
      assert.ok(event)
      assert.deepEqual(
        [...event.args],
        [deal.txSeq, BigInt(MOVED), from.address, successor.address, next, period],
      )
    }))

  it('behavior: the next change waits for the boundary, then builds on the one before', () =>
    system.rolledBack(async () => {
      const { market } = system
      await handOver(await changeOf())
      const changed = deal.holders.with(MOVED, successor.address)
      const from = (await currentPeriod(system)) + 1n
      const back = { to: holder(MOVED), providers: changed }
      await revertsWith(handOver(await changeOf(back), successor), market, 'CustodyChangePending', [
        deal.txSeq,
        from,
      ])
      await enterPeriod(system, from)
      await revertsWith(handOver(await changeOf()), market, 'CustodyRootMismatch', [deal.txSeq])
      await handOver(await changeOf(back), successor)
      assert.equal((await market.custodyAt(deal.txSeq, from)).custodyRoot, rootOver(changed))
      assert.equal((await market.custodyAt(deal.txSeq, from + 1n)).custodyRoot, deal.custodyRoot)
    }))

  it('error: a caller that does not keep the shard, or a shard that does not exist', async () => {
    const { market } = system
    const change = await changeOf()
    await revertsWith(handOver(change, successor), market, 'NotCustodian', [
      deal.txSeq,
      BigInt(MOVED),
      successor.address,
    ])
    await revertsWith(handOver(change, holder(MOVED + 1)), market, 'NotCustodian')
    await refused({ shardIndex: SHARDS }, 'NotCustodian')
  })

  it('error: lists that are not the custody in force', async () => {
    const { market } = system
    const liar = successor
    const providers = deal.holders.with(MOVED, liar.address)
    const change = await changeOf({ to: holder(MOVED), providers, signer: holder(MOVED) })
    await revertsWith(handOver(change, liar), market, 'CustodyRootMismatch', [deal.txSeq])
    await refused({ shardRoots: FILE.shardRoots.with(MOVED, `0x${'12'.repeat(32)}`) }, 'CustodyRootMismatch')
    await refused({ shardRoots: FILE.shardRoots.slice(1) }, 'WrongShardCount')
    await refused({ providers: deal.holders.slice(0, -1) }, 'WrongShardCount')
  })

  it('error: signed by somebody else, for something else, or too long ago', async () => {
    await refused({ signer: system.stranger }, 'InvalidCustodySignature', [successor.address])
    for (const signed of [
      { txSeq: deal.txSeq + 1n },
      { shardIndex: BigInt(MOVED + 1) },
      { custodyRoot: `0x${'00'.repeat(32)}` },
      { ratePerPeriod: rateWei + 1n },
    ]) {
      await refused({ signed }, 'InvalidCustodySignature', [successor.address])
    }
    const validUntil = await system.head()
    await refused({ validUntil }, 'CustodyOfferExpired', [successor.address, validUntil])
  })

  it('error: to itself', () =>
    refused({ to: holder(MOVED) }, 'SuccessorIsCustodian', [holder(MOVED).address]))

  it('error: to a provider that would keep more than the fault limit', () =>
    system.rolledBack(async () => {
      const { market } = system
      const greedy = holder(0)
      const kept = deal.holders.filter((address) => address === greedy.address).length
      assert.equal(BigInt(kept), LIMIT - 1n)
      await handOver(await changeOf({ to: greedy }))
      await enterPeriod(system, (await currentPeriod(system)) + 1n)
      const providers = deal.holders.with(MOVED, greedy.address)
      const change = await changeOf({ to: greedy, providers, shardIndex: MOVED + 1 })
      await revertsWith(handOver(change, holder(MOVED + 1)), market, 'FaultLimitExceeded', [
        greedy.address,
        LIMIT + 1n,
        LIMIT,
      ])
    }))

  it('error: to a provider without the stake for it', () =>
    system.rolledBack(async () => {
      const poor = system.chain.signer(17)
      const change = await changeOf({ to: poor })
      await revertsWith(handOver(change), system.market, 'InsufficientStake')
      await addProvider(system, poor, 10n ** 18n)
      await handOver(change)
    }))

  it('error: to a suspended provider, which may itself hand its shards over', () =>
    system.rolledBack(async () => {
      const { market, prover } = system
      const careless = holder(0)
      await missUntilSuspended(system, deal, careless)
      const { shards } = await market.custodyAt(deal.txSeq, await currentPeriod(system))
      assert.equal(shards, BigInt(SHARDS))
      await refused({ to: careless }, 'ProviderSuspended', [careless.address])
      const away = await changeOf({ shardIndex: 0, validUntil: (await system.head()) + 100n })
      await handOver(away, careless)
      assert.ok((await prover.strikesOf(careless)) > 0n)
    }))

  it('error: a deal that is not sealed, and one in its last period', () =>
    system.rolledBack(async () => {
      const { market, params, uploader } = system
      const open = await submitFile(system, FILE)
      await refused({ txSeq: open }, 'WrongState', [open, 1n])
      await refused({ txSeq: 99n }, 'WrongState', [99n, 0n])
      const short = await sealFile(system, FILE, {
        assignment: dealtInTurn(system.providers.slice(0, 6), SHARDS),
        termPeriods: params.minTermPeriods,
        owner: uploader,
      })
      const last = short.endPeriod - 1n
      await enterPeriod(system, last)
      const change = await changeOf({ txSeq: short.txSeq })
      await revertsWith(handOver(change), market, 'WrongState', [short.txSeq, 3n])
    }))
})
