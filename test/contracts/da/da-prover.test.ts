import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { drawPosition } from '../../../sdk/protocol/draw.ts'
import { DaProver__factory } from '../../../typechain-types/index.js'
import { at } from '../../support/content.ts'
import {
  cellOf,
  draftConfirmation,
  type EncodedBlob,
  encodeRandom,
  publishBlob,
  type Submitted,
  submitBlob,
} from '../../support/da-blobs.ts'
import { type DaDraw, daDrawsOf, openNextDaRound } from '../../support/da-draws.ts'
import {
  DA_PARAMS,
  type DaSystem,
  deployDa,
  enterEpoch,
  type Member,
  structOf,
} from '../../support/da-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { currentPeriod, enterPeriod } from '../../support/storage-fixture.ts'

const encoded = await encodeRandom(2 * 126_976)
const CELLS = 3n * 128n
const ALL_COLUMNS = (1n << 128n) - 1n

/** Runs each test on the same system, which it leaves as it was: a blob of three KZG blobs by all members, and a pot. */
function withBlob() {
  let system: DaSystem
  let blob: Submitted
  before(async () => {
    system = await deployDa()
    const late = await submitBlob(system, encoded)
    await system.mineTo((await system.head()) + system.params.confirmBlocks)
    await system.da.refund(late.blobId)
    blob = await publishBlob(system, encoded)
  })
  return (work: (system: DaSystem, blob: Submitted) => Promise<void>) => () =>
    system.rolledBack(() => work(system, blob))
}

/** What `answer` needs for a draw, each part open to a test's own version. */
function answerOf(
  { blob, blobIndex, column, period, draw, entryIndex }: DaDraw,
  of: EncodedBlob = blob.encoded,
) {
  return { period, draw, entryIndex, ...cellOf(of, { blobIndex, column }) }
}

function sendAnswer(
  { prover, stranger }: DaSystem,
  { period, draw, entryIndex, cellAndProof, path }: ReturnType<typeof answerOf>,
  way: 'answer' | 'answerAsSuccessor' = 'answer',
) {
  return prover.connect(stranger)[way](period, draw, entryIndex, cellAndProof, path)
}

const report = ({ prover, reporter }: DaSystem, { period, draw, entryIndex }: DaDraw) =>
  prover.connect(reporter).reportMiss(period, draw, entryIndex)

const enterReports = (system: DaSystem, period: bigint) =>
  enterPeriod(system, period, 2n * system.params.windowBlocks)

describe('DaProver.openRound', () => {
  const on = withBlob()

  it(
    'default: from the period after the confirmation on; draws are where the TypeScript twin says',
    on(async (system) => {
      const { prover, params, reporter, da } = system
      assert.deepEqual([...(await prover.figures())], [0n, 0n, 0n])
      assert.deepEqual([...(await prover.nextFigures())], [0n, CELLS, CELLS])
      await revertsWith(prover.openRound((await currentPeriod(system)) + 1n, '0x'), prover, 'NotThisPeriod')
      const potWei = await da.potWei()
      const { period } = await openNextDaRound(system, [])
      const { seed, tail, span, live, draws, bountyWei } = await prover.round(period)
      assert.deepEqual([tail, span, live, draws], [0n, CELLS, CELLS, params.targetDraws])
      assert.equal(bountyWei, params.bountyWei)
      assert.equal(await da.creditOf(reporter), bountyWei)
      assert.equal(await da.potWei(), potWei - bountyWei)
      for (let draw = 0n; draw < draws; draw++)
        assert.equal(await prover.drawPosition(period, draw), drawPosition({ seed, index: draw, tail, span }))
      await revertsWith(prover.openRound(period, '0x'), prover, 'RoundAlreadyOpen', [period])
    }),
  )

  it('behavior: a pot that does not reach for all is shared by the opener and all draws', async () => {
    const system = await deployDa({ params: { bountyWei: 10n ** 30n } })
    const { prover, da, params, reporter } = system
    const late = await submitBlob(system, encoded)
    await system.mineTo((await system.head()) + params.confirmBlocks)
    await da.refund(late.blobId)
    const blob = await publishBlob(system, encoded)
    const potWei = await da.potWei()
    const { period, draws } = await openNextDaRound(system, [blob])
    const { bountyWei } = await prover.round(period)
    assert.equal(bountyWei, potWei / (params.targetDraws + 1n))
    assert.ok(bountyWei > 0n)
    assert.equal(await da.creditOf(reporter), bountyWei)
    for (const draw of draws.slice(0, 8)) await sendAnswer(system, answerOf(draw))
    assert.equal(await da.potWei(), potWei - 9n * bountyWei)
  })

  it('error: nothing on the line', async () => {
    const system = await deployDa()
    await submitBlob(system, encoded)
    const period = (await currentPeriod(system)) + 1n
    await enterPeriod(system, period)
    await revertsWith(system.prover.openRound(period, '0x'), system.prover, 'NoLiveCells', [period])
  })
})

describe('DaProver.answer', () => {
  const on = withBlob()

  it(
    'default: whoever sends it, the bounty is the attester’s, and once',
    on(async (system, blob) => {
      const { prover, da, params } = system
      const { period, draws: all } = await openNextDaRound(system, [blob])
      assert.equal(BigInt(all.length), params.targetDraws)
      const draws = all.slice(0, 8)
      const paid = new Map<string, bigint>()
      for (const draw of draws) {
        await sendAnswer(system, answerOf(draw))
        paid.set(draw.holder, (paid.get(draw.holder) ?? 0n) + params.bountyWei)
        assert.equal(await prover.isResolved(period, draw.draw), true)
        const again = sendAnswer(system, answerOf(draw))
        await revertsWith(again, prover, 'DrawAlreadyResolved', [period, draw.draw])
      }
      for (const [holder, wei] of paid) assert.equal(await da.creditOf(holder), wei)
      const answered = await prover.queryFilter(prover.filters.Answered(period))
      assert.deepEqual(
        answered.map(({ args }) => [args.draw, args.provider, args.blobId, args.bountyWei]),
        draws.map(({ draw, holder }) => [draw, holder, blob.blobId, params.bountyWei]),
      )
      const places = answered.map(({ args }) => [Number(args.blobIndex), Number(args.column)])
      assert.deepEqual(
        places,
        draws.map(({ blobIndex, column }) => [blobIndex, column]),
      )
    }),
  )

  it(
    'error: another cell, proof or path, a path or a cell of another length',
    on(async (system, blob) => {
      const { prover } = system
      const { draws } = await openNextDaRound(system, [blob])
      const draw = at(draws, 0)
      const good = answerOf(draw)
      const wrong = (changes: Partial<typeof good>) =>
        revertsWith(sendAnswer(system, { ...good, ...changes }), prover, 'WrongCellProof', [
          blob.blobId,
          BigInt(draw.blobIndex),
          BigInt(draw.column),
        ])
      const other = cellOf(blob.encoded, { blobIndex: (draw.blobIndex + 1) % 3, column: draw.column })
      await wrong({ cellAndProof: other.cellAndProof })
      await wrong({ path: other.path })
      await wrong({ cellAndProof: `0x${other.cell.slice(2)}${good.proof.slice(2)}` })
      await wrong({ cellAndProof: `0x${good.cell.slice(2)}${other.proof.slice(2)}` })
      await wrong({ path: good.path.slice(1) })
      await wrong({ path: [...good.path, at(good.path, 0)] })
      const cut = sendAnswer(system, { ...good, cellAndProof: good.cellAndProof.slice(0, -2) })
      await revertsWith(cut, prover, 'WrongCellLength', [2095n])
      const long = sendAnswer(system, { ...good, cellAndProof: `${good.cellAndProof}00` })
      await revertsWith(long, prover, 'WrongCellLength', [2097n])
      await sendAnswer(system, good)
    }),
  )

  it(
    'error: another entry, a draw that was not made, a round that was not opened, a block too late',
    on(async (system, blob) => {
      const { prover, params } = system
      const { period, draws } = await openNextDaRound(system, [blob])
      const good = answerOf(at(draws, 0))
      const position = await prover.drawPosition(period, good.draw)
      await revertsWith(sendAnswer(system, { ...good, entryIndex: 7n }), prover, 'NotInEntry', [7n, position])
      const past = sendAnswer(system, { ...good, draw: params.targetDraws })
      await revertsWith(past, prover, 'DrawOutOfRange', [params.targetDraws, params.targetDraws])
      await revertsWith(sendAnswer(system, { ...good, period: period + 1n }), prover, 'RoundNotOpen')
      const { answerCloses } = await prover.windowsOf(period)
      await system.mineTo(answerCloses - 2n)
      await sendAnswer(system, good)
      const late = sendAnswer(system, answerOf(at(draws, 1)))
      await revertsWith(late, prover, 'AnswerWindowClosed', [period, answerCloses])
    }),
  )

  it('behavior: a draw on a column that nobody attested needs no answer and takes none', async () => {
    const system = await deployDa()
    const { prover, members } = system
    const blob = await publishBlob(system, encoded, { members: members.slice(2) })
    const { period, draws } = await openNextDaRound(system, [blob])
    const { columns } = await system.da.blobOf(blob.blobId)
    assert.notEqual(columns, ALL_COLUMNS)
    const [unsigned, signed] = [false, true].map((isSigned) =>
      draws.find(({ column }) => ((columns >> BigInt(column)) & 1n) === (isSigned ? 1n : 0n)),
    )
    assert.ok(unsigned && signed)
    const refused = [blob.blobId, BigInt(unsigned.column)]
    await revertsWith(sendAnswer(system, answerOf(unsigned)), prover, 'ColumnUnsigned', refused)
    await sendAnswer(system, answerOf(signed))
    await enterReports(system, period)
    await revertsWith(report(system, unsigned), prover, 'ColumnUnsigned', refused)
  })

  it(
    'behavior: a draw on a blob that has expired needs no answer and takes none',
    on(async (system, blob) => {
      const { prover } = system
      const longer = await publishBlob(system, encoded, {
        changes: { expiresAt: blob.header.expiresAt + 5n, epoch: await system.committee.activeEpoch() },
      })
      await enterPeriod(system, blob.header.expiresAt - 1n)
      const { period, draws } = await openNextDaRound(system, [blob, longer])
      assert.equal(period, blob.header.expiresAt)
      const dead = draws.find((draw) => draw.blob === blob)
      assert.ok(dead)
      await revertsWith(sendAnswer(system, answerOf(dead)), prover, 'DeadRange', [2n, period])
      await enterReports(system, period)
      await revertsWith(report(system, dead), prover, 'DeadRange', [2n, period])
    }),
  )
})

describe('DaProver.reportMiss', () => {
  const on = withBlob()

  it(
    'default: slashes the attester once, takes the column’s pay, pays the reporter at most half',
    on(async (system, blob) => {
      const { prover, staking, committee, da, reporter, params } = system
      const { period, draws } = await openNextDaRound(system, [blob])
      const draw = at(draws, 0)
      const [beforeWei] = await staking.allocationOf(draw.holder, committee)
      const creditWei = await da.creditOf(reporter)
      await enterReports(system, period)
      await report(system, draw)
      const { seatWei } = await committee.epochOf(blob.header.epoch)
      const slashWei = (seatWei * params.missSlashBps + 9999n) / 10_000n
      const [afterWei] = await staking.allocationOf(draw.holder, committee)
      assert.equal(beforeWei - afterWei, slashWei)
      const gainedWei = (await staking.claimable(reporter)) + (await da.creditOf(reporter)) - creditWei
      assert.ok(gainedWei > 0n && 2n * gainedWei <= slashWei)
      assert.equal((await da.blobOf(blob.blobId)).forfeited, 1n << BigInt(draw.column))
      assert.equal(await prover.strikesOf(draw.holder), 1n)
      await revertsWith(report(system, draw), prover, 'DrawAlreadyResolved', [period, draw.draw])
      const [missed] = await prover.queryFilter(prover.filters.Missed(period, draw.draw))
      assert.deepEqual(
        [missed?.args.provider, missed?.args.slashedWei, missed?.args.reporter],
        [draw.holder, slashWei, reporter.address],
      )
    }),
  )

  it(
    'behavior: each miss that still counts doubles the next; they age out',
    on(async (system, blob) => {
      const { prover, staking, committee, params } = system
      const { seatWei } = await committee.epochOf(blob.header.epoch)
      const firstWei = (seatWei * params.missSlashBps + 9999n) / 10_000n
      const { period, draws } = await openNextDaRound(system, [blob])
      const [holder] = [...draws].map(({ holder }) => holder).sort(byCount(draws))
      assert.ok(holder)
      const mine = draws.filter((draw) => draw.holder === holder)
      assert.ok(mine.length >= 2)
      await enterReports(system, period)
      for (const [i, draw] of mine.entries()) {
        const [beforeWei] = await staking.allocationOf(holder, committee)
        await report(system, draw)
        const [afterWei] = await staking.allocationOf(holder, committee)
        assert.equal(beforeWei - afterWei, firstWei << BigInt(i))
      }
      assert.equal(await prover.strikesOf(holder), BigInt(mine.length))
      await enterPeriod(system, period + params.strikeWindowPeriods)
      assert.equal(await prover.strikesOf(holder), 0n)
    }),
  )

  it(
    'behavior: an answered draw is no miss',
    on(async (system, blob) => {
      const { period, draws } = await openNextDaRound(system, [blob])
      await sendAnswer(system, answerOf(at(draws, 0)))
      await enterReports(system, period)
      await revertsWith(report(system, at(draws, 0)), system.prover, 'DrawAlreadyResolved')
    }),
  )

  it(
    'error: before the answers are due, and after the window',
    on(async (system, blob) => {
      const { prover } = system
      const { period, draws } = await openNextDaRound(system, [blob])
      const { answerCloses, reportCloses } = await prover.windowsOf(period)
      const early = report(system, at(draws, 0))
      await revertsWith(early, prover, 'ReportWindowNotOpen', [period, answerCloses])
      await system.mineTo(reportCloses - 2n)
      await report(system, at(draws, 0))
      const late = report(system, at(draws, 1))
      await revertsWith(late, prover, 'ReportWindowClosed', [period, reportCloses])
    }),
  )

  it('behavior: who attests within a period is not to blame for a draw of it', async () => {
    const system = await deployDa()
    const { prover, da, members, params } = system
    // Late in a period, so that more columns may be added in the next.
    const { clock } = system
    const boundary = clock.startBlock + ((await currentPeriod(system)) + 1n) * clock.periodBlocks
    await system.mineTo(boundary - 4n)
    const blob = await publishBlob(system, encoded, { members: members.slice(2) })
    const { period, draws } = await openNextDaRound(system, [blob])
    const late = await draftConfirmation(system, blob, members)
    const newcomers = members.slice(0, 2).map(({ address }) => address)
    const blamed = draws.find(({ holder }) => newcomers.includes(holder))
    assert.ok(blamed)
    await da.confirm(late)
    assert.ok((await da.blobOf(blob.blobId)).confirmedAtBlock > boundary)
    await enterReports(system, period)
    await revertsWith(report(system, blamed), prover, 'ColumnsNotSettled', [blob.blobId, period])
    const next = await openNextDaRound(system, [blob])
    const due = next.draws.find(({ holder }) => newcomers.includes(holder))
    assert.ok(due && params.targetDraws > 0n)
    await enterReports(system, next.period)
    await report(system, due)
  })

  it('behavior: a leaver answers for what it attested until the blob expires', async () => {
    const system = await deployDa()
    const { prover, staking, committee, members } = system
    const blob = await publishBlob(system, encoded)
    const leaver = at(members, 0)
    const [allocatedWei] = await staking.allocationOf(leaver.address, committee)
    await staking.connect(leaver.signer).requestDeallocation(committee, allocatedWei)
    await committee.connect(leaver.signer).resign()
    await enterEpoch(system, (await system.beacon.currentEpoch()) + 1n)
    await committee.newEpoch('0x')
    assert.equal(await committee.columnsOf(await committee.activeEpoch(), 0n), 0n)
    const { period, draws } = await nextRoundWith(system, blob, leaver)
    const draw = draws.find(({ holder }) => holder === leaver.address)
    assert.ok(draw)
    const early = sendAnswer(system, answerOf(draw), 'answerAsSuccessor')
    await revertsWith(early, prover, 'HolderNotOut', [blob.blobId, BigInt(draw.column), leaver.address])
    await enterReports(system, period)
    await report(system, draw)
    assert.ok((await staking.allocationOf(leaver.address, committee))[0] < allocatedWei)
  })

  it('behavior: once the attester has no stake left, its successor answers for the bounty and is never slashed', async () => {
    const system = await deployDa({ params: { missSlashBps: 10_000n } })
    const { prover, staking, committee, da, members } = system
    const late = await submitBlob(system, encoded)
    await system.mineTo((await system.head()) + system.params.confirmBlocks)
    await da.refund(late.blobId)
    const expiresAt = ((await currentPeriod(system)) / 5n + 3n) * 5n
    const blob = await publishBlob(system, encoded, { changes: { expiresAt } })
    const lost = at(members, 0)
    // Each miss doubles: 16 seats are gone after five.
    while ((await staking.allocationOf(lost.address, committee))[0] !== 0n) {
      const { period, draws } = await nextRoundWith(system, blob, lost)
      await enterReports(system, period)
      for (const draw of draws.filter(({ holder }) => holder === lost.address)) {
        if ((await staking.allocationOf(lost.address, committee))[0] === 0n) break
        await report(system, draw)
      }
    }
    assert.equal(await committee.isOut(lost.address), true)
    await enterEpoch(system, (await system.beacon.currentEpoch()) + 1n)
    await committee.newEpoch('0x')
    const { period, draws } = await nextRoundWith(system, blob, lost)
    const mine = draws.filter(({ holder }) => holder === lost.address)
    const draw = at(mine, 0)
    const successor = await committee.ownerOf(await committee.activeEpoch(), draw.column)
    assert.notEqual(successor, lost.address)
    const beforeWei = await da.creditOf(successor)
    const [stakeWei] = await staking.allocationOf(successor, committee)
    await system.rolledBack(async () => {
      await enterReports(system, period)
      const refused = [blob.blobId, BigInt(draw.column), lost.address]
      await revertsWith(report(system, draw), prover, 'HolderOut', refused)
    })
    await sendAnswer(system, answerOf(draw), 'answerAsSuccessor')
    assert.equal((await da.creditOf(successor)) - beforeWei, (await prover.round(period)).bountyWei)
    assert.deepEqual([(await staking.allocationOf(successor, committee))[0]], [stakeWei])
  })
})

describe('DaProver: the line', () => {
  it('behavior: expired blobs leave it at their boundary, live ones are appended anew when it is mostly dead', async () => {
    const system = await deployDa()
    const { prover, params, da } = system
    const first = ((await currentPeriod(system)) / 5n + 2n) * 5n
    const long = await publishBlob(system, encoded, { changes: { expiresAt: first + 10n } })
    for (let i = 0; i < 2; i++) await publishBlob(system, encoded, { changes: { expiresAt: first } })
    await enterPeriod(system, first - 1n)
    assert.deepEqual([...(await prover.nextFigures())], [0n, 3n * CELLS, CELLS])
    await prover.moveTail(10)
    assert.deepEqual([...(await prover.entry(3n))], [3n * CELLS, CELLS, 1n])
    const { period, draws } = await openNextDaRound(system, [long])
    const { tail, span, live } = await prover.round(period)
    assert.deepEqual([tail, span, live], [3n * CELLS, CELLS, CELLS])
    assert.equal(BigInt(draws.length), params.targetDraws)
    await sendAnswer(system, answerOf(at(draws, 0)))
    assert.equal(await prover.isResolved(period, at(draws, 0).draw), true)
    assert.equal((await daDrawsOf(system, [long], period)).length, draws.length)
    assert.ok((await da.blobOf(long.blobId)).columns > 0n)
  })

  it('error: appending by anybody but DataAvailability; parameters under which it could not keep its laws', async () => {
    const { prover, stranger, beacon, committee, da, deployer } = await deployDa({ members: 0 })
    await revertsWith(prover.connect(stranger).append(1n, 1n, 10n), prover, 'NotAuthorized', [
      stranger.address,
    ])
    await revertsWith(prover.connect(stranger).prepare(10n), prover, 'NotAuthorized', [stranger.address])
    const factory = new DaProver__factory(deployer)
    const deploy = (change: Partial<typeof DA_PARAMS>) =>
      factory.deploy(beacon, committee, da, { ...DA_PARAMS, ...change })
    const params = structOf(await (await deploy({})).params())
    for (const [name, value] of Object.entries(params))
      assert.equal(value, DA_PARAMS[name as keyof typeof DA_PARAMS], name)
    for (const change of [
      { targetDraws: 0n },
      { windowBlocks: 0n },
      { windowBlocks: 9n },
      { strikeWindowPeriods: 0n },
      { reporterBps: 5001n },
      { missSlashBps: 0n },
      { missSlashBps: 10_001n },
    ])
      await revertsWith(deploy(change), prover, 'InvalidParams')
  })
})

/** Opens rounds until one draws a column that `member` attested. */
async function nextRoundWith(system: DaSystem, blob: Submitted, member: Member) {
  for (;;) {
    const round = await openNextDaRound(system, [blob])
    assert.ok(round.period < blob.header.expiresAt, 'the member was never drawn')
    if (round.draws.some(({ holder }) => holder === member.address)) return round
  }
}

/** Orders addresses by how often they hold a draw, most first. */
function byCount(draws: readonly DaDraw[]) {
  const count = (holder: string) => draws.filter((draw) => draw.holder === holder).length
  return (a: string, b: string) => count(b) - count(a)
}
