import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StorageProver__factory } from '../../../typechain-types/index.js'
import { revertsWith } from '../../support/reverts.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import { sealFile } from '../../support/storage-deal.ts'
import { currentPeriod, deployStorage, enterPeriod, LOCAL_PARAMS } from '../../support/storage-fixture.ts'
import { openNextRound } from '../../support/storage-rounds.ts'

const FILE = shardFile(sampleBytes(700))
const SECTORS = BigInt(FILE.shardRoots.length * FILE.layout.shardSectors)

describe('StorageProver: the line', () => {
  it('behavior: live sectors fall at the boundary at which a deal ends, the tail waits for moveTail', async () => {
    const system = await deployStorage()
    const { prover } = system
    const short = await sealFile(system, FILE, { termPeriods: 5n })
    const long = await sealFile(system, FILE, { termPeriods: 40n })
    assert.ok(short.endPeriod < long.endPeriod)
    await enterPeriod(system, short.endPeriod - 1n, 2n)
    assert.deepEqual([...(await prover.figures())], [0n, 2n * SECTORS, 2n * SECTORS])
    assert.deepEqual([...(await prover.nextFigures())], [0n, 2n * SECTORS, SECTORS])

    // Moved in the last period of the short deal: gone from the line with the boundary, not before.
    await prover.moveTail(10)
    assert.deepEqual([...(await prover.figures())], [0n, 2n * SECTORS, 2n * SECTORS])
    assert.deepEqual([...(await prover.nextFigures())], [SECTORS, 2n * SECTORS, SECTORS])
    await revertsWith(prover.moveTail(10), prover, 'NothingToMove')
    await enterPeriod(system, short.endPeriod, 2n)
    assert.deepEqual([...(await prover.figures())], [SECTORS, 2n * SECTORS, SECTORS])
    assert.equal(await prover.tailEntry(), 1n)
  })

  it('behavior: on a mostly dead line live deals are appended anew, and answers follow them there', async () => {
    const system = await deployStorage()
    const { prover } = system
    const kept = await sealFile(system, FILE, { termPeriods: 60n })
    const ended = []
    for (let i = 0; i < 3; i++) ended.push(await sealFile(system, FILE, { termPeriods: 5n }))
    const end = ended.at(-1)?.endPeriod ?? 0n
    await enterPeriod(system, end - 1n)
    const { draws } = await openNextRound(system, [kept, ...ended])
    assert.ok(draws.some(({ deal }) => deal === kept))

    const before = await prover.entry(0n)
    await prover.moveTail(10)
    assert.deepEqual([...(await prover.entry(0n))], [...before], 'draws of this period still find it')
    const count = await prover.entryCount()
    assert.equal(count, 5n)
    assert.deepEqual([...(await prover.entry(4n))], [4n * SECTORS, SECTORS, kept.txSeq])
    const next = await openNextRound(system, [kept])
    const round = await prover.round(next.period)
    assert.deepEqual([round.tail, round.span, round.live], [4n * SECTORS, SECTORS, SECTORS])
    assert.ok(next.draws.every(({ deal, entryIndex }) => deal === kept && entryIndex === 4n))
    assert.equal(BigInt(next.draws.length), system.params.targetDraws)
  })

  it('behavior: after more than 64 buckets of silence it must be rolled, in pieces of any size', async () => {
    const system = await deployStorage()
    const { prover, params, streams } = system
    const deal = await sealFile(system, FILE)
    const reached = 64n * params.bucketPeriods
    await enterPeriod(system, reached + 20n)
    const current = reached + 20n
    await revertsWith(prover.openRound(current, '0x'), prover, 'LineBehind', [reached, current])
    await revertsWith(prover.moveTail(1), prover, 'LineBehind')
    assert.equal(await prover.roll.staticCall(0), deal.startPeriod - 1n)
    await prover.roll(3)
    assert.equal(await prover.roll.staticCall(0), 3n * params.bucketPeriods)
    await prover.roll(65)
    assert.equal(await prover.roll.staticCall(0), current)
    assert.equal((await prover.figures()).live, SECTORS)
    await streams.advancePot(100)
    await prover.openRound(current, '0x')
    assert.equal((await prover.round(current)).live, SECTORS)
    assert.ok(deal.endPeriod > current)
  })

  it('behavior: an empty line crosses any silence at once', async () => {
    const system = await deployStorage({ providers: 0 })
    await enterPeriod(system, 5000n)
    await system.prover.roll(1)
    assert.equal(await system.prover.roll.staticCall(0), await currentPeriod(system))
  })
})

describe('StorageProver: who may, and on what terms', () => {
  it('error: appending by anybody but the market; wiring by another, twice, to nothing', async () => {
    const { prover, stranger, market } = await deployStorage({ providers: 0 })
    const append = prover.connect(stranger).append(0n, 1n, 5n)
    await revertsWith(append, prover, 'NotAuthorized', [stranger.address])
    await revertsWith(prover.connect(stranger).wire(market), prover, 'NotDeployer', [stranger.address])
    await revertsWith(prover.wire(market), prover, 'AlreadyWired')
  })

  it('error: parameters under which it could not keep its laws', async () => {
    const { beacon, staking, streams, deployer } = await deployStorage({ providers: 0 })
    const factory = new StorageProver__factory(deployer)
    const deploy = (change: Partial<typeof LOCAL_PARAMS>) =>
      factory.deploy(beacon, staking, streams, { ...LOCAL_PARAMS, ...change })
    const fresh = await deploy({})
    const { windowBlocks, targetDraws } = await fresh.params()
    assert.deepEqual([windowBlocks, targetDraws], [8n, 24n])
    await revertsWith(fresh.wire(`0x${'00'.repeat(20)}`), fresh, 'InvalidParams')
    for (const change of [
      { targetDraws: 0n },
      { windowBlocks: 0n },
      { windowBlocks: 9n },
      { slashFactor: 3n },
      { maxStrikes: 0n },
      { maxStrikes: 9n },
      { strikeWindowPeriods: 0n },
      { reporterBps: 5001n },
    ]) {
      await revertsWith(deploy(change), fresh, 'InvalidParams')
    }
  })
})
