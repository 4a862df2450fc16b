import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { custodyLeaf, custodyRoot } from '../../../sdk/protocol/custody.ts'
import { at } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
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
import { answerOf, type Draw, openNextRound, sendAnswer, sendReport } from '../../support/storage-rounds.ts'

const FILE = shardFile(sampleBytes(40_000))
const BPS = 10_000n

let system: StorageSystem
let deal: SealedDeal
before(async () => {
  system = await deployStorage()
  deal = await sealFile(system, FILE)
})

const signerOf = (address: string) => {
  const signer = system.providers.find((provider) => provider.address === address)
  assert.ok(signer)
  return signer
}

/** Opens the next round and goes on to where its misses are reported. */
async function missedRound(deals: readonly SealedDeal[] = [deal]) {
  const opened = await openNextRound(system, deals)
  await enterPeriod(system, opened.period, 2n * system.params.windowBlocks)
  return opened
}

const allocated = async (provider: string) =>
  (await system.staking.allocationOf(provider, system.prover)).allocatedWei

const dueSlash = async (period: bigint) => {
  const { live } = await system.prover.round(period)
  const { slashFactor, targetDraws } = system.params
  return (slashFactor * deal.sectorPriceWei * live + targetDraws - 1n) / targetDraws
}

/** First draw of each custodian drawn, in the order drawn. */
const firstByHolder = (draws: readonly Draw[]) => [
  ...new Map([...draws].reverse().map((draw) => [draw.holder, draw])).values(),
]

describe('StorageProver.reportMiss', () => {
  it('default: slashes the custodian exactly once, pays the reporter, and bars every other way to resolve the draw', () =>
    system.rolledBack(async () => {
      const { prover, streams, staking, reporter, params } = system
      await openNextRound(system, [deal])
      const { period, draws } = await missedRound()
      const draw = at(draws, 0)
      const { bountyWei } = await prover.round(period)
      const slashWei = await dueSlash(period)
      assert.ok(slashWei < (await streams.lockOf(draw.holder)))
      assert.equal(await prover.slashWei(deal.sectorPriceWei, (await prover.round(period)).live), slashWei)
      const before = await allocated(draw.holder)
      const creditWei = await streams.creditOf(reporter)

      await sendReport(system, draw)
      assert.equal(before - (await allocated(draw.holder)), slashWei)
      assert.equal(await staking.claimable(reporter), (slashWei * params.reporterBps) / BPS)
      assert.equal((await streams.creditOf(reporter)) - creditWei, bountyWei)
      assert.equal(await prover.strikesOf(draw.holder), 1n)
      const [missed] = await prover.queryFilter(prover.filters.Missed(period))
      assert.deepEqual(
        [...(missed?.args ?? [])],
        [period, draw.index, draw.holder, deal.txSeq, BigInt(draw.shardIndex), slashWei, reporter.address],
      )

      const twice = [period, draw.index]
      await revertsWith(sendReport(system, draw), prover, 'DrawAlreadyResolved', twice)
      assert.equal(before - (await allocated(draw.holder)), slashWei)
    }))

  it('behavior: an answered draw is no miss', () =>
    system.rolledBack(async () => {
      const { prover, params } = system
      const { period, draws } = await openNextRound(system, [deal])
      const draw = at(draws, 0)
      await sendAnswer(system, answerOf(draw))
      await enterPeriod(system, period, 2n * params.windowBlocks)
      await revertsWith(sendReport(system, draw), prover, 'DrawAlreadyResolved', [period, draw.index])
    }))

  it('behavior: the pay of that period, and of that provider alone, goes to the pot', () =>
    system.rolledBack(async () => {
      const { streams } = system
      const { period, draws } = await missedRound()
      const struck = at(draws, 0).holder
      await sendReport(system, at(draws, 0))
      await openNextRound(system, [deal])
      await enterPeriod(system, period + 2n)
      const before = await streams.potWei()
      for (const provider of system.providers) {
        const { nowWei } = await streams.rateOf(provider)
        const creditWei = await streams.creditOf(provider)
        await streams.claim(provider, 64)
        const paidWei = (await streams.creditOf(provider)) - creditWei
        assert.equal(paidWei, provider.address === struck ? nowWei : 2n * nowWei)
      }
      assert.equal((await streams.potWei()) - before, (await streams.rateOf(struck)).nowWei)
    }))

  it('error: before the answers are due, and after the window', () =>
    system.rolledBack(async () => {
      const { prover, params } = system
      const { period, draws } = await openNextRound(system, [deal])
      const { answerCloses, reportCloses } = await prover.windowsOf(period)
      await enterPeriod(system, period, 2n * params.windowBlocks - 1n)
      const early = sendReport(system, at(draws, 0))
      await revertsWith(early, prover, 'ReportWindowNotOpen', [period, answerCloses])
      await enterPeriod(system, period, 3n * params.windowBlocks - 1n)
      await sendReport(system, at(draws, 0))
      const late = sendReport(system, at(draws, 1))
      await revertsWith(late, prover, 'ReportWindowClosed', [period, reportCloses])
    }))

  it('error: blaming somebody who does not keep the shard', () =>
    system.rolledBack(async () => {
      const { draws } = await missedRound()
      const draw = at(draws, 0)
      const other = system.providers.find(({ address }) => address !== draw.holder)
      assert.ok(other)
      const framed = { ...custodyOf(deal, draw.shardIndex), provider: other.address }
      await revertsWith(sendReport(system, draw, framed), system.prover, 'WrongCustodyProof')
    }))

  it('behavior: a hand-over between draw and answer leaves the blame where the draw put it', () =>
    system.rolledBack(async () => {
      const { market, prover, params } = system
      const { period, draws } = await openNextRound(system, [deal])
      const draw = at(draws, 0)
      const successor = system.providers.find(
        ({ address }) =>
          address !== draw.holder && deal.holders.filter((held) => held === address).length < 4,
      )
      assert.ok(successor)
      const validUntil = (await system.head()) + 100n
      const rateWei = (deal.sectorPriceWei * BigInt(FILE.layout.shardSectors) * (BPS - params.potBps)) / BPS
      const shardIndex = BigInt(draw.shardIndex)
      const message = {
        txSeq: deal.txSeq,
        shardIndex,
        custodyRoot: deal.custodyRoot,
        ratePerPeriod: rateWei,
        validUntil,
      }
      const signature = await sign(system, successor, { type: 'Takeover', message })
      await market.connect(signerOf(draw.holder)).handOver({
        txSeq: deal.txSeq,
        shardIndex,
        successor,
        providers: deal.holders,
        shardRoots: FILE.shardRoots,
        validUntil,
        signature,
      })
      const holders = deal.holders.with(draw.shardIndex, successor.address)
      const leaves = FILE.shardRoots.map((shardRoot, index) =>
        custodyLeaf({ index, provider: holders[index] ?? '', shardRoot }),
      )
      const moved: SealedDeal = { ...deal, holders, leaves, custodyRoot: custodyRoot(leaves) }

      // The draw's own period: only the predecessor can be blamed.
      await enterPeriod(system, period, 2n * params.windowBlocks)
      const framed = sendReport(system, draw, custodyOf(moved, draw.shardIndex))
      await revertsWith(framed, prover, 'WrongCustodyProof')
      const before = await allocated(draw.holder)
      await sendReport(system, draw)
      assert.ok((await allocated(draw.holder)) < before)

      // From the next period on: only the successor.
      for (;;) {
        const next = await missedRound([moved])
        const again = next.draws.find((found) => found.shardIndex === draw.shardIndex)
        if (again === undefined) continue
        const old = sendReport(system, again, custodyOf(deal, draw.shardIndex))
        await revertsWith(old, prover, 'WrongCustodyProof')
        const stakeWei = await allocated(successor.address)
        await sendReport(system, again)
        assert.ok((await allocated(successor.address)) < stakeWei)
        return
      }
    }))

  it('behavior: a slash is at most the lock', async () => {
    const small = await deployStorage({ params: { lockPeriods: 1n } })
    const thin = await sealFile(small, FILE)
    const { period, draws } = await openNextRound(small, [thin])
    await enterPeriod(small, period, 2n * small.params.windowBlocks)
    const { holder } = at(draws, 0)
    const lockWei = await small.streams.lockOf(holder)
    assert.ok(
      lockWei < (await small.prover.slashWei(thin.sectorPriceWei, (await small.prover.round(period)).live)),
    )
    const before = (await small.staking.allocationOf(holder, small.prover)).allocatedWei
    await sendReport(small, at(draws, 0))
    assert.equal(before - (await small.staking.allocationOf(holder, small.prover)).allocatedWei, lockWei)
  })
})

describe('suspension', () => {
  it('behavior: strikes suspend: no pay, no new custody, no bounty, no further slash', () =>
    system.rolledBack(async () => {
      const { prover, streams, market, params } = system
      const careless = at(deal.holders, 0)
      await missUntilSuspended(system, deal, { address: careless })
      assert.equal(await prover.strikesOf(careless), params.maxStrikes)
      const suspendedIn = await currentPeriod(system)
      await streams.claim(careless, 64)
      const creditWei = await streams.creditOf(careless)

      let [answered, spared] = [false, false]
      for (let i = 0; i < 30 && !(answered && spared); i++) {
        const { period, draws } = await openNextRound(system, [deal])
        const own = draws.filter(({ holder }) => holder === careless)
        if (own.length < 2) continue
        await sendAnswer(system, answerOf(at(own, 0)))
        answered = await prover.isResolved(period, at(own, 0).index)
        await enterPeriod(system, period, 2n * params.windowBlocks)
        const stakeWei = await allocated(careless)
        const report = sendReport(system, at(own, 1))
        await revertsWith(report, prover, 'ProviderAlreadySuspended', [careless])
        assert.equal(await allocated(careless), stakeWei)
        spared = true
      }
      assert.ok(answered && spared)
      assert.ok((await currentPeriod(system)) > suspendedIn)
      await streams.claim(careless, 64)
      assert.equal(await streams.creditOf(careless), creditWei)

      const txSeq = await submitFile(system, FILE)
      const draft = await draftSeal(system, { txSeq, file: FILE })
      await revertsWith(sendSeal(system, { file: FILE, draft }), market, 'ProviderSuspended', [careless])
    }))

  it('behavior: strikes age out; reinstated, it is paid again from the next period on', () =>
    system.rolledBack(async () => {
      const { streams, params } = system
      const careless = at(deal.holders, 0)
      const prover = system.prover.connect(signerOf(careless))
      await revertsWith(prover.reinstate(careless), prover, 'NotSuspended', [careless])
      await missUntilSuspended(system, deal, { address: careless })
      const struckIn = (await prover.queryFilter(prover.filters.Missed(undefined, undefined, careless))).map(
        ({ args }) => args.period,
      )
      await revertsWith(prover.reinstate(careless), prover, 'StillStruck', [careless, params.maxStrikes])

      const firstGone = at(struckIn, 0) + params.strikeWindowPeriods
      await enterPeriod(system, firstGone, 0n)
      assert.equal(await prover.strikesOf(careless), params.maxStrikes)
      const { period } = await openNextRound(system, [deal])
      assert.equal(period, firstGone)
      assert.ok((await prover.strikesOf(careless)) < params.maxStrikes)
      await prover.reinstate(careless)
      assert.equal(await streams.isSuspended(careless), false)
      const before = await streams.creditOf(careless)
      await openNextRound(system, [deal])
      await enterPeriod(system, period + 2n)
      await streams.claim(careless, 64)
      const { nowWei } = await streams.rateOf(careless)
      assert.equal(
        (await streams.creditOf(careless)) - before,
        nowWei,
        'the period of the pardon is not paid',
      )
    }))

  it('behavior: stake below the need suspends at the first miss; topped up, it may come back at once', () =>
    system.rolledBack(async () => {
      const { prover, streams, staking } = system
      const { period, draws } = await missedRound()
      const draw = at(draws, 0)
      const provider = signerOf(draw.holder)
      const needWei = await streams.needOf(draw.holder)
      // Asked back, stake stays slashable but backs nothing; a slash takes it first.
      const askedWei = (await staking.backing(draw.holder, prover)) - needWei + 1n
      await staking.connect(provider).requestDeallocation(prover, askedWei)
      await sendReport(system, draw)
      assert.ok(await streams.isSuspended(draw.holder))
      const backingWei = await staking.backing(draw.holder, prover)
      assert.equal(backingWei, needWei - 1n)
      const args = [draw.holder, needWei, backingWei]
      await revertsWith(prover.connect(provider).reinstate(draw.holder), prover, 'InsufficientStake', args)
      await staking.connect(provider).cancelDeallocation(prover)
      await prover.connect(provider).reinstate(draw.holder)
      assert.equal(await streams.isSuspended(draw.holder), false)
      assert.ok((await currentPeriod(system)) === period)
    }))

  it('behavior: several misses of one provider in a period cost it each; those of others are their own', () =>
    system.rolledBack(async () => {
      const { prover } = system
      const { period, draws } = await missedRound()
      const slashWei = await dueSlash(period)
      for (const draw of firstByHolder(draws)) {
        const before = await allocated(draw.holder)
        await sendReport(system, draw)
        assert.equal(before - (await allocated(draw.holder)), slashWei)
        assert.equal(await prover.strikesOf(draw.holder), 1n)
      }
    }))
})

describe('StorageProver.minAllocation', () => {
  it('behavior: stake that backs custody cannot leave before the custody has ended', async () => {
    const own = await deployStorage()
    const short = await sealFile(own, FILE, { termPeriods: 30n })
    const { prover, staking, streams } = own
    const provider = at(own.providers, 0)
    const needWei = await streams.needOf(provider)
    assert.ok(needWei > 0n)
    assert.equal(await prover.minAllocation(provider), needWei)
    await staking.connect(provider).requestDeallocation(prover, await staking.backing(provider, prover))
    await own.mineTo(await staking.completableAt(provider, prover))
    assert.ok((await currentPeriod(own)) < short.endPeriod)
    const locked = staking.completeDeallocation(provider, prover)
    await revertsWith(locked, staking, 'AllocationLocked', [needWei, 0n])

    await enterPeriod(own, short.endPeriod, -1n)
    assert.equal(await prover.minAllocation(provider), needWei, 'the last period is still custody')
    await enterPeriod(own, short.endPeriod, 2n)
    assert.equal(await prover.minAllocation(provider), 0n)
    await staking.completeDeallocation(provider, prover)
    assert.equal((await staking.allocationOf(provider, prover)).allocatedWei, 0n)
  })
})
