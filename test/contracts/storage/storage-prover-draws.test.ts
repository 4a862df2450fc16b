import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { drawCount, drawPosition } from '../../../sdk/protocol/draw.ts'
import { at } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import { type SealedDeal, sealFile } from '../../support/storage-deal.ts'
import {
  currentPeriod,
  deployStorage,
  enterPeriod,
  type StorageSystem,
} from '../../support/storage-fixture.ts'
import { answerOf, type Draw, openNextRound, sendAnswer, sendReport } from '../../support/storage-rounds.ts'
import { headerRlp } from '../staking/header-rlp.ts'

/** Full to its last sector: two neighbours of padding would be equal, and one's answer right for the other. */
const FILE = shardFile(sampleBytes(40_960))
const SMALL = shardFile(sampleBytes(700, 2))

describe('StorageProver.openRound', () => {
  let system: StorageSystem
  let deals: SealedDeal[]
  before(async () => {
    system = await deployStorage()
    deals = [await sealFile(system, FILE), await sealFile(system, SMALL)]
  })

  it('default: draws are where the TypeScript twin says, over many seeds', () =>
    system.rolledBack(async () => {
      const { prover, params } = system
      const seeds = new Set<string>()
      for (let i = 0; i < 20; i++) {
        const { period, draws } = await openNextRound(system, deals)
        const round = await prover.round(period)
        const { seed, tail, span, live } = round
        seeds.add(seed)
        assert.equal(round.draws, drawCount({ targetDraws: params.targetDraws, span, live }))
        assert.equal(BigInt(draws.length), round.draws, 'every position belongs to a deal')
        for (let index = 0n; index < round.draws; index++) {
          const position = await prover.drawPosition(period, index)
          assert.equal(position, drawPosition({ seed, index, tail, span }))
          assert.ok(position >= tail && position < tail + span)
        }
      }
      assert.equal(seeds.size, 20)
    }))

  it('behavior: figures are those at the boundary: what is sealed in a period is drawn from the next on', () =>
    system.rolledBack(async () => {
      const { prover } = system
      await enterPeriod(system, (await currentPeriod(system)) + 1n)
      const before = await prover.figures()
      const late = await sealFile(system, SMALL)
      assert.deepEqual([...(await prover.figures())], [...before])
      const sectors = BigInt(SMALL.shardRoots.length * SMALL.layout.shardSectors)
      const next = await prover.nextFigures()
      assert.deepEqual([next.end, next.live], [before.end + sectors, before.live + sectors])
      const { period } = await openNextRound(system, [...deals, late])
      assert.deepEqual([...(await prover.figures())], [...next])
      assert.equal((await prover.round(period)).live, next.live)
    }))

  it('behavior: the opener gets one bounty of the pot, the rest stays for answers and reports', () =>
    system.rolledBack(async () => {
      const { streams, prover, reporter } = system
      await openNextRound(system, deals)
      const before = await streams.creditOf(reporter)
      const { period } = await openNextRound(system, deals)
      const { bountyWei, draws } = await prover.round(period)
      const [funded] = await streams.queryFilter(streams.filters.RoundFunded(period))
      assert.ok(funded)
      assert.ok(bountyWei > 0n)
      assert.equal(bountyWei, funded.args.potWei / (draws + 1n))
      assert.equal((await streams.creditOf(reporter)) - before, bountyWei)
      assert.equal(await streams.potWei(), funded.args.potWei - bountyWei)
    }))

  it('error: another period than the present, the boundary block itself, too late, twice', () =>
    system.rolledBack(async () => {
      const { prover, beacon, params, clock } = system
      const period = (await currentPeriod(system)) + 1n
      await enterPeriod(system, period, 0n)
      await revertsWith(prover.openRound(period, '0x'), beacon, 'PeriodNotStarted')
      await enterPeriod(system, period)
      await revertsWith(prover.openRound(period + 1n, '0x'), prover, 'NotThisPeriod', [period + 1n, period])
      await revertsWith(prover.openRound(period - 1n, '0x'), prover, 'NotThisPeriod', [period - 1n, period])
      await prover.openRound(period, '0x')
      await revertsWith(prover.openRound(period, '0x'), prover, 'RoundAlreadyOpen', [period])

      const closesAt = clock.startBlock + (period + 1n) * clock.periodBlocks + params.windowBlocks
      await enterPeriod(system, period + 1n, params.windowBlocks)
      await revertsWith(prover.openRound(period + 1n, '0x'), prover, 'PinWindowClosed', [
        period + 1n,
        closesAt,
      ])
      await enterPeriod(system, period + 2n, params.windowBlocks - 1n)
      await prover.openRound(period + 2n, '0x')
    }))

  it('error: nothing on the line', async () => {
    const empty = await deployStorage({ providers: 0 })
    const period = (await currentPeriod(empty)) + 1n
    await enterPeriod(empty, period)
    await revertsWith(empty.prover.openRound(period, '0x'), empty.prover, 'NoLiveSectors', [period])
  })

  it('behavior: where prevRandao counts, the header of the boundary block opens it, or a seed pinned before', async () => {
    const randao = await deployStorage({ params: { useBlockHash: false } })
    const deal = await sealFile(randao, SMALL)
    const { prover, beacon, clock, provider } = randao
    const headerOf = async (period: bigint) => {
      const number = clock.startBlock + period * clock.periodBlocks
      const params = [`0x${number.toString(16)}`, false]
      const block = (await provider.request({ method: 'eth_getBlockByNumber', params })) as Record<
        string,
        unknown
      >
      return { header: headerRlp(block), prevRandao: block.mixHash }
    }
    await enterPeriod(randao, deal.startPeriod)
    const first = await headerOf(deal.startPeriod)
    await revertsWith(prover.openRound(deal.startPeriod, '0x'), beacon, 'HeaderMismatch')
    await prover.openRound(deal.startPeriod, first.header)
    assert.equal((await prover.round(deal.startPeriod)).seed, first.prevRandao)

    const next = deal.startPeriod + 1n
    await enterPeriod(randao, next)
    const second = await headerOf(next)
    await beacon.pin(next, second.header)
    await prover.openRound(next, '0x')
    assert.equal((await prover.round(next)).seed, second.prevRandao)
  })

  it('error: a boundary out of reach stays unpinned, and its period pays nobody', async () => {
    const slow = await deployStorage({ params: { periodBlocks: 1000n, windowBlocks: 320n } })
    const deal = await sealFile(slow, SMALL)
    const { prover, beacon, streams } = slow
    await enterPeriod(slow, deal.startPeriod, 300n)
    await revertsWith(prover.openRound(deal.startPeriod, '0x'), beacon, 'BoundaryUnreachable')
    await enterPeriod(slow, deal.startPeriod + 1n, 250n)
    await prover.openRound(deal.startPeriod + 1n, '0x')
    await enterPeriod(slow, deal.startPeriod + 2n)
    const keeper = at(slow.providers, 0)
    const { nowWei } = await streams.rateOf(keeper)
    await streams.claim(keeper, 64)
    assert.ok(nowWei > 0n)
    assert.equal(await streams.creditOf(keeper), nowWei, 'one period of two was opened')
  })
})

describe('StorageProver.answer', () => {
  let system: StorageSystem
  let deals: SealedDeal[]
  let draws: Draw[]
  let period: bigint
  before(async () => {
    system = await deployStorage()
    deals = [await sealFile(system, FILE), await sealFile(system, SMALL)]
    await openNextRound(system, deals)
    const opened = await openNextRound(system, deals)
    draws = opened.draws.filter(({ deal }) => deal.file === FILE)
    period = opened.period
  })

  const refused = (answer: ReturnType<typeof answerOf>, name: string, args?: readonly unknown[]) =>
    revertsWith(sendAnswer(system, answer), system.prover, name, args)

  it('default: whoever sends it, the bounty is the custodian’s, and once', () =>
    system.rolledBack(async () => {
      const { prover, streams, stranger } = system
      const { bountyWei } = await prover.round(period)
      assert.ok(bountyWei > 0n)
      const credits = new Map<string, bigint>()
      for (const draw of draws.slice(0, 6)) {
        const before = credits.get(draw.holder) ?? (await streams.creditOf(draw.holder))
        await sendAnswer(system, answerOf(draw))
        credits.set(draw.holder, before + bountyWei)
        assert.equal(await streams.creditOf(draw.holder), before + bountyWei)
        assert.ok(await prover.isResolved(period, draw.index))
        await refused(answerOf(draw), 'DrawAlreadyResolved', [period, draw.index])
      }
      assert.equal(await streams.creditOf(stranger), 0n)
      const answered = await prover.queryFilter(prover.filters.Answered(period))
      assert.deepEqual(
        answered.map(({ args }) => [args.draw, args.provider, args.shardIndex, args.bountyWei]),
        draws.slice(0, 6).map((draw) => [draw.index, draw.holder, BigInt(draw.shardIndex), bountyWei]),
      )
    }))

  it('error: another sector, another path, a path of another length, a sector of another length', async () => {
    const draw = at(draws, 0)
    const good = answerOf(draw)
    const args = [draw.deal.txSeq, BigInt(draw.shardIndex), BigInt(draw.sector)]
    const flipped = Uint8Array.from(good.sector)
    flipped[255] = (flipped[255] ?? 0) ^ 1
    await refused({ ...good, sector: flipped }, 'WrongSectorProof', args)
    const neighbour = answerOf({ ...draw, sector: draw.sector ^ 1 })
    await refused({ ...good, sector: neighbour.sector, path: neighbour.path }, 'WrongSectorProof', args)
    await refused({ ...good, path: neighbour.path }, 'WrongSectorProof', args)
    await refused({ ...good, path: good.path.slice(1) }, 'WrongSectorProof', args)
    await refused({ ...good, path: [...good.path, `0x${'00'.repeat(32)}`] }, 'WrongSectorProof', args)
    await refused({ ...good, sector: good.sector.slice(1) }, 'WrongSectorLength', [255n])
    await refused({ ...good, sector: Uint8Array.of(...good.sector, 0) }, 'WrongSectorLength', [257n])
  })

  it('error: another custodian, another shard, another shard root, a custody path cut short', async () => {
    const draw = at(draws, 0)
    const good = answerOf(draw)
    const args = [draw.deal.txSeq, BigInt(draw.shardIndex)]
    const { custody } = good
    const stranger = system.stranger.address
    await refused({ ...good, custody: { ...custody, provider: stranger } }, 'WrongCustodyProof', args)
    const otherRoot = `0x${'12'.repeat(32)}`
    await refused({ ...good, custody: { ...custody, shardRoot: otherRoot } }, 'WrongCustodyProof', args)
    const other = answerOf({ ...draw, shardIndex: (draw.shardIndex + 1) % FILE.shardRoots.length })
    await refused({ ...other, draw: draw.index }, 'WrongCustodyProof', args)
    const short = { ...custody, path: custody.path.slice(1) }
    await refused({ ...good, custody: short }, 'WrongCustodyProof', args)
  })

  it('error: another entry, a draw that was not made, a round that was not opened', async () => {
    const draw = at(draws, 0)
    const good = answerOf(draw)
    const position = await system.prover.drawPosition(period, draw.index)
    await refused({ ...good, entryIndex: 1n }, 'NotInEntry', [1n, position])
    await refused({ ...good, entryIndex: 99n }, 'NotInEntry', [99n, position])
    const { draws: count } = await system.prover.round(period)
    await refused({ ...good, draw: count }, 'DrawOutOfRange', [count, count])
    await refused({ ...good, period: period + 1n }, 'RoundNotOpen', [period + 1n])
  })

  it('error: a block too late; the block before is in time', () =>
    system.rolledBack(async () => {
      const { params, prover } = system
      const { answerCloses } = await prover.windowsOf(period)
      await enterPeriod(system, period, 2n * params.windowBlocks - 1n)
      await sendAnswer(system, answerOf(at(draws, 0)))
      assert.equal(await system.head(), answerCloses - 1n)
      await refused(answerOf(at(draws, 1)), 'AnswerWindowClosed', [period, answerCloses])
      await enterPeriod(system, period + 1n)
      await refused(answerOf(at(draws, 1)), 'AnswerWindowClosed', [period, answerCloses])
    }))

  it('behavior: a draw on a deal that is over needs no answer and takes none', async () => {
    const own = await deployStorage()
    const lasting = await sealFile(own, SMALL)
    const short = await sealFile(own, FILE, { termPeriods: 5n })
    await enterPeriod(own, short.endPeriod)
    await own.prover.roll(64)
    const opened = await openNextRound(own, [lasting, short])
    const dead = opened.draws.filter(({ deal }) => deal === short)
    assert.ok(dead.length > 0)
    assert.ok(BigInt(opened.draws.length) > own.params.targetDraws, 'dead ranges add draws')
    const args = [short.txSeq, opened.period]
    await revertsWith(sendAnswer(own, answerOf(at(dead, 0))), own.prover, 'DeadRange', args)
    await enterPeriod(own, opened.period, 2n * own.params.windowBlocks)
    await revertsWith(sendReport(own, at(dead, 0)), own.prover, 'DeadRange', args)
  })
})
