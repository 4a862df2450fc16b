import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { ZeroAddress } from 'ethers'
import { custodyLeaf, custodyRoot } from '../../../sdk/protocol/custody.ts'
import type { TestSigner } from '../../support/chain.ts'
import { at } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { sampleBytes, shardFile, uniformFile } from '../../support/sharded-file.ts'
import {
  custodyOf,
  draftSeal,
  type SealedDeal,
  sealFile,
  sendSeal,
  sign,
  submitFile,
} from '../../support/storage-deal.ts'
import {
  currentPeriod,
  deployStorage,
  enterPeriod,
  type StorageSystem,
} from '../../support/storage-fixture.ts'
import { missUntilSuspended } from '../../support/storage-misses.ts'
import { openNextRound, sendReport } from '../../support/storage-rounds.ts'

const FILE = shardFile(sampleBytes(40_000))
const TINY = shardFile(sampleBytes(10))
const BPS = 10_000n
const GWEI = 10n ** 9n

let system: StorageSystem
let deal: SealedDeal
before(async () => {
  system = await deployStorage({ providers: 7 })
  deal = await sealFile(system, FILE)
})

const signerOf = (address: string): TestSigner => {
  const signer = system.providers.find((provider) => provider.address === address)
  assert.ok(signer)
  return signer
}

describe('a custodian that hands a shard over', () => {
  it('error: the signature of an earlier takeover, when the shard has come back meanwhile', () =>
    system.rolledBack(async () => {
      const { market, params } = system
      const [shardIndex, giver] = [0, signerOf(at(deal.holders, 0))]
      const taker = signerOf(at(deal.holders, 1))
      const rateWei = (deal.sectorPriceWei * BigInt(FILE.layout.shardSectors) * (BPS - params.potBps)) / BPS
      const validUntil = (await system.head()) + 1000n
      const rootOver = (holders: readonly string[]) =>
        custodyRoot(
          holders.map((provider, index) =>
            custodyLeaf({ index, provider, shardRoot: at(FILE.shardRoots, index) }),
          ),
        )
      const changeTo = async (successor: TestSigner, providers: string[]) => {
        const root = rootOver(providers)
        const terms = { shardIndex: BigInt(shardIndex), ratePerPeriod: rateWei, validUntil }
        const message = { txSeq: deal.txSeq, custodyRoot: root, ...terms }
        const signature = await sign(system, successor, { type: 'Takeover', message })
        const { shardRoots } = FILE
        return { txSeq: deal.txSeq, shardIndex, successor, providers, shardRoots, validUntil, signature }
      }

      const away = await changeTo(taker, deal.holders)
      await market.connect(giver).handOver(away)
      await enterPeriod(system, (await currentPeriod(system)) + 1n)
      const back = await changeTo(giver, deal.holders.with(shardIndex, taker.address))
      await market.connect(taker).handOver(back)
      await enterPeriod(system, (await currentPeriod(system)) + 1n)

      const again = market.connect(giver).handOver(away)
      await revertsWith(again, market, 'TakeoverUsed', [deal.txSeq, taker.address])
      await market.connect(giver).handOver(await changeTo(taker, deal.holders).then(fresh))

      /** What the taker signs when it does want the shard again. */
      async function fresh(change: typeof away) {
        const later = validUntil + 1n
        const terms = { shardIndex: BigInt(shardIndex), ratePerPeriod: rateWei, validUntil: later }
        const message = { txSeq: deal.txSeq, custodyRoot: deal.custodyRoot, ...terms }
        return {
          ...change,
          validUntil: later,
          signature: await sign(system, taker, { type: 'Takeover', message }),
        }
      }
    }))
})

describe('a provider that reports its own misses', () => {
  it('behavior: gets back at most half of the slash, however full the pot is', () =>
    system.rolledBack(async () => {
      const { prover, staking, streams, params, reporter } = system
      // Periods that nobody opened fill the pot with everybody's pay.
      await enterPeriod(system, deal.startPeriod + 30n)
      for (const provider of system.providers) await streams.claim(provider, 64)
      const { period, draws } = await openNextRound(system, [deal])
      await enterPeriod(system, period, 2n * params.windowBlocks)
      const draw = at(draws, 0)
      const { bountyWei } = await prover.round(period)
      const creditWei = await streams.creditOf(reporter)
      const stakeWei = (await staking.allocationOf(draw.holder, prover)).allocatedWei

      await sendReport(system, draw)
      const slashedWei = stakeWei - (await staking.allocationOf(draw.holder, prover)).allocatedWei
      assert.ok(slashedWei > 0n && bountyWei > slashedWei, 'the bounty alone would make the miss pay')
      const backWei = (await staking.claimable(reporter)) + (await streams.creditOf(reporter)) - creditWei
      assert.ok(backWei <= slashedWei / 2n, `${backWei} of ${slashedWei} came back`)
      assert.ok(backWei > (slashedWei * params.reporterBps) / BPS, 'a report still earns a bounty')
    }))
})

describe('a stranger', () => {
  it('error: putting a suspended provider back into service, where it can be slashed anew', () =>
    system.rolledBack(async () => {
      const { prover, streams, params, stranger } = system
      const careless = signerOf(at(deal.holders, 0))
      await missUntilSuspended(system, deal, careless)
      await enterPeriod(system, (await currentPeriod(system)) + params.strikeWindowPeriods)
      assert.equal(await prover.strikesOf(careless), 0n)
      const forced = prover.connect(stranger).reinstate(careless)
      await revertsWith(forced, prover, 'NotAuthorized', [stranger.address])
      assert.ok(await streams.isSuspended(careless))
      await prover.connect(careless).reinstate(careless)
      assert.equal(await streams.isSuspended(careless), false)
    }))

  it('error: sending its credit to nobody', () =>
    system.rolledBack(async () => {
      const { market, params, streams, uploader } = system
      const txSeq = await submitFile(system, TINY)
      await system.chain.mineTo((await system.head()) + params.sealDeadlineBlocks + 1n)
      await market.refund(txSeq)
      const creditWei = await streams.creditOf(uploader)
      assert.ok(creditWei > 0n)
      const nowhere = streams.connect(uploader).withdraw(ZeroAddress)
      await revertsWith(nowhere, streams, 'ZeroAddress')
      assert.equal(await streams.creditOf(uploader), creditWei)
    }))
})

describe('an owner that pays absurdly', () => {
  it('behavior: a tiny deal at a huge price binds a custodian’s stake only until its next deal', () =>
    system.rolledBack(async () => {
      const { market, prover, streams, params, uploader } = system
      const holder = signerOf(at(deal.holders, 0))
      await sealFile(system, uniformFile(2 ** 24, sampleBytes(256)))
      const before = await streams.needOf(holder)
      const txSeq = await submitFile(system, TINY)
      // Signed at the usual price; what the owner adds afterwards, nobody is asked about.
      const draft = await draftSeal(system, { txSeq, file: TINY })
      const overpaid = { value: 10n ** 16n }
      await market.connect(uploader).configure(txSeq, 8, params.defaultTermPeriods, overpaid)
      const dear = await sendSeal(system, { file: TINY, draft })
      assert.ok(dear.sectorPriceWei > 10n * deal.sectorPriceWei)
      assert.ok((await streams.needOf(holder)) > 3n * before)

      const usual = await sealFile(system, FILE)
      const slashWei = await prover.slashWei(usual.sectorPriceWei, (await prover.nextFigures()).live)
      const roundedWei = ((slashWei + GWEI - 1n) / GWEI) * GWEI
      const lockWei = await streams.lockOf(holder)
      assert.equal(await streams.needOf(holder), roundedWei > lockWei ? roundedWei : lockWei)
    }))

  it('error: a price of which nothing is left for the custodian, which then would need no stake', () =>
    system.rolledBack(async () => {
      const { market, owner, params, uploader } = system
      await market.connect(owner).setPrice(1n)
      const txSeq = await submitFile(system, TINY)
      const neededWei = await market.quote(1n, 8n, params.defaultTermPeriods)
      const escrowWei = await system.streams.escrowOf(txSeq)
      const value = neededWei - escrowWei
      await market.connect(uploader).configure(txSeq, 8, params.defaultTermPeriods, { value })
      const stored = BigInt(TINY.shardRoots.length)
      const periods = (await market.expiresAt(txSeq)) - (await currentPeriod(system)) - 1n
      await revertsWith(market.sealTerms(txSeq), market, 'PriceTooLow', [neededWei, stored * periods])
    }))
})

describe('a reporter', () => {
  it('error: the same miss under another proof, entry or round', () =>
    system.rolledBack(async () => {
      const { prover, params } = system
      const { period, draws } = await openNextRound(system, [deal])
      await enterPeriod(system, period, 2n * params.windowBlocks)
      const draw = at(draws, 0)
      const custody = custodyOf(deal, draw.shardIndex)
      await sendReport(system, draw)
      await revertsWith(sendReport(system, draw), prover, 'DrawAlreadyResolved', [period, draw.index])
      const report = (round: bigint, index: bigint, entry: bigint) =>
        prover.reportMiss(round, index, entry, custody)
      await revertsWith(report(period, draw.index + 256n, draw.entryIndex), prover, 'DrawOutOfRange')
      await revertsWith(report(period - 1n, draw.index, draw.entryIndex), prover, 'ReportWindowClosed')
      const other = draws.find(({ index }) => index !== draw.index)
      assert.ok(other)
      await revertsWith(report(period, other.index, draw.entryIndex + 1n), prover, 'NotInEntry')
    }))
})
