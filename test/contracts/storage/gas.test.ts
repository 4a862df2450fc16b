import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ContractTransactionResponse } from 'ethers'
import { submissionSectors } from '../../../sdk/protocol/submission.ts'
import { compareGas, type GasFigure } from '../../support/gas-snapshot.ts'
import { sampleBytes, uniformFile } from '../../support/sharded-file.ts'
import {
  custodyOf,
  draftSeal,
  locateDraw,
  NEW_SUBMIT,
  type SealedDeal,
  sealFile,
  sendSeal,
  submitFile,
} from '../../support/storage-deal.ts'
import {
  currentPeriod,
  deployStorage,
  enterPeriod,
  type StorageSystem,
} from '../../support/storage-fixture.ts'

/** 1 GiB: 16 data shards of 2^18 sectors, 8 parity shards. */
const FILE = uniformFile(2 ** 30, sampleBytes(256))

const figures: Record<string, GasFigure> = {}

async function gasOf(transaction: Promise<ContractTransactionResponse>): Promise<bigint> {
  const receipt = await (await transaction).wait()
  assert.equal(receipt?.status, 1)
  return receipt.gasUsed
}

const dearest = (gas: readonly bigint[]) => BigInt(Math.max(...gas.map(Number)))

describe('gas of the flow', () => {
  let system: StorageSystem
  before(async () => {
    system = await deployStorage({ providers: 0 })
    // 2^19 .. 2^20 in one node, then odd sizes, so that the frontier has full and stale levels.
    for (const heights of [[19], [0], [4, 1], [10, 7], [3]]) await gasOf(submit(heights))
    const { currentLength } = await system.flow.tree()
    assert.ok(currentLength > 2n ** 20n)
  })

  /** As public clients submit: the form with a submitter, and a value that is exact. */
  async function submit(heights: readonly number[]) {
    const { flow, market, uploader } = system
    const nodes = heights.map((height, i) => ({ root: `0x${`${i + 1}a`.repeat(32)}`, height }))
    const sectors = submissionSectors(nodes)
    const data = { length: sectors * 256, tags: '0x', nodes }
    const value = BigInt(sectors) * (await market.pricePerSector())
    return flow.connect(uploader)[NEW_SUBMIT]({ data, submitter: uploader }, { value })
  }

  async function dearestSubmit(shapes: readonly (readonly number[])[]) {
    const gas: bigint[] = []
    for (const heights of shapes) gas.push(await gasOf(submit(heights)))
    return dearest(gas)
  }

  it('behavior: submit of one node and of four stays within its limit on a flow of 2^20 sectors', async () => {
    const one = [[0], [1], [0], [5], [10], [0], [12], [9], [0], [3]]
    const four = [
      [3, 2, 1, 0],
      [8, 7, 6, 5],
      [11, 10, 9, 8],
      [3, 2, 1, 0],
      [13, 12, 11, 10],
    ]
    figures['Flow.submit, 1 node'] = { gas: await dearestSubmit(one), limit: 220_000n }
    figures['Flow.submit, 4 nodes'] = { gas: await dearestSubmit(four), limit: 260_000n }
  })
})

describe('gas of deals', () => {
  let system: StorageSystem
  let deals: SealedDeal[]
  before(async () => {
    system = await deployStorage()
    deals = []
  })

  async function sealGas(submitted?: bigint) {
    const txSeq = submitted ?? (await submitFile(system, FILE))
    const draft = await draftSeal(system, { txSeq, file: FILE })
    assert.equal(draft.request.custodians.length, 6)
    const deal = await sendSeal(system, { file: FILE, draft })
    deals.push(deal)
    const [event] = await system.market.queryFilter(system.market.filters.Sealed(txSeq))
    const receipt = await event?.getTransactionReceipt()
    assert.ok(receipt)
    return receipt.gasUsed
  }

  it('behavior: seal over six providers: first ever, into a bucket they have, after silence, into a new bucket', async () => {
    figures['StorageMarket.seal, 6 providers, empty system'] = { gas: await sealGas() }
    await sealGas()
    figures['StorageMarket.seal, 6 providers, warm bucket'] = { gas: await sealGas(), limit: 500_000n }

    const bucket = system.params.bucketPeriods * system.params.periodBlocks
    const earlier = await submitFile(system, FILE)
    await system.mineTo((await system.head()) + bucket - 20n)
    const later = await submitFile(system, FILE)
    figures['StorageMarket.seal, 6 providers, after a bucket of silence'] = { gas: await sealGas(earlier) }
    figures['StorageMarket.seal, 6 providers, new bucket'] = { gas: await sealGas(later), limit: 650_000n }
    assert.ok(deals.at(-1)?.endPeriod !== deals.at(-2)?.endPeriod)
  })

  it('behavior: a period: round, answers, a miss', async () => {
    const { prover, reporter, params } = system
    const period = (await currentPeriod(system)) + 1n
    await enterPeriod(system, period)
    figures['StorageProver.openRound'] = {
      gas: await gasOf(prover.connect(reporter).openRound(period, '0x')),
    }
    const { draws } = await prover.round(period)
    assert.equal(draws, params.targetDraws)

    const answers: bigint[] = []
    for (let draw = 0n; draw < 6n; draw++) {
      const { deal: drawn, entryIndex, shardIndex, sector } = await place(period, draw)
      const shard = drawn.file.shards[shardIndex]
      assert.ok(shard)
      const path = shard.path(sector)
      assert.equal(path.length, 18)
      const custody = custodyOf(drawn, shardIndex)
      const sent = prover
        .connect(reporter)
        .answer(period, draw, entryIndex, shard.sector(sector), path, custody)
      answers.push(await gasOf(sent))
    }
    figures['StorageProver.answer, 1 GiB file'] = { gas: dearest(answers), limit: 130_000n }

    await enterPeriod(system, period, 2n * params.windowBlocks)
    const misses: bigint[] = []
    for (let draw = 6n; draw < 8n; draw++) {
      const { deal: drawn, entryIndex, shardIndex } = await place(period, draw)
      const custody = custodyOf(drawn, shardIndex)
      misses.push(await gasOf(prover.connect(reporter).reportMiss(period, draw, entryIndex, custody)))
    }
    figures['StorageProver.reportMiss'] = { gas: dearest(misses) }
  })

  it('behavior: claims over few and many buckets', async () => {
    const { streams, providers, params } = system
    const [provider] = providers
    assert.ok(provider)
    const period = await currentPeriod(system)
    await enterPeriod(system, period + 1n)
    await streams.claim(provider, 64)
    await enterPeriod(system, period + 4n * params.bucketPeriods)
    figures['StorageStreams.claim, 4 buckets'] = { gas: await gasOf(streams.claim(provider, 64)) }
    await enterPeriod(system, period + 68n * params.bucketPeriods)
    figures['StorageStreams.claim, 64 buckets'] = { gas: await gasOf(streams.claim(provider, 64)) }
  })

  async function place(period: bigint, draw: bigint) {
    const found = await locateDraw(system, deals, { period, draw })
    assert.ok(found)
    return found
  }
})

describe('gas of the dearest seals', () => {
  let system: StorageSystem
  before(async () => {
    system = await deployStorage()
    await sealFile(system, FILE)
    await sealFile(system, FILE)
  })

  /** A seal by an owner that was never credited: what the price leaves over opens its account. */
  async function firstSealGas() {
    const { streams, market, stranger: owner } = system
    const txSeq = await submitFile(system, FILE, { owner })
    const draft = await draftSeal(system, { txSeq, file: FILE })
    assert.equal(await streams.creditOf(owner), 0n)
    await sendSeal(system, { file: FILE, draft, caller: owner })
    assert.ok((await streams.creditOf(owner)) > 0n)
    const [event] = await market.queryFilter(market.filters.Sealed(txSeq))
    const receipt = await event?.getTransactionReceipt()
    assert.ok(receipt)
    return { gas: receipt.gasUsed }
  }

  it("behavior: an owner's first credit into a bucket that all have, and into a new one after silence, paid or not", async () => {
    const { params, prover, streams, providers } = system
    const period = (await currentPeriod(system)) + 1n
    await system.rolledBack(async () => {
      figures["StorageMarket.seal, 6 providers, warm bucket, owner's first credit"] = await firstSealGas()
    })
    await system.rolledBack(async () => {
      await enterPeriod(system, period + params.bucketPeriods)
      figures['StorageMarket.seal, 6 providers, new bucket after a bucket of silence'] = await firstSealGas()
    })
    await enterPeriod(system, period)
    await prover.openRound(period, '0x')
    await enterPeriod(system, period + params.bucketPeriods)
    figures["StorageMarket.seal, 6 providers, new bucket after silence, everybody's first pay"] =
      await firstSealGas()
    for (const provider of providers) assert.ok((await streams.creditOf(provider)) > 0n)
  })
})

describe('gas snapshot', () => {
  after(() => {
    if (process.env.SHOW_GAS === '1') console.table(figures)
  })

  it('default: nothing is over its limit or has grown by more than 2 %', () => compareGas('storage', figures))
})
