import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { at } from '../../support/content.ts'
import { type ShardedFile, sampleBytes, shardFile, uniformFile } from '../../support/sharded-file.ts'
import {
  draftSeal,
  type SealedDeal,
  sealFile,
  submissionData,
  submitFile,
} from '../../support/storage-deal.ts'
import {
  currentPeriod,
  deployStorage,
  enterPeriod,
  type StorageSystem,
} from '../../support/storage-fixture.ts'

const GIB = 2 ** 30
const TIB = 2 ** 40
const MAX_STRETCH = 8n

/** Cheap enough for 1 TiB out of one account; two providers can hold a deal. */
const PARAMS = {
  pricePerSectorPeriodWei: 100n,
  faultTolerance: 1n,
  minTermPeriods: 2n,
  defaultTermPeriods: 2n,
  sealDeadlineBlocks: 24n,
}

/** From one sector to 1 TiB, in proportions of 1 to 4 x 10^9. */
const FILES = [
  shardFile(sampleBytes(100)),
  shardFile(sampleBytes(700)),
  shardFile(sampleBytes(40_000)),
  uniformFile(2 ** 22, sampleBytes(256)),
  uniformFile(GIB, sampleBytes(256)),
  uniformFile(TIB, sampleBytes(256)),
]

const storedSectors = ({ shardRoots, layout }: ShardedFile) => BigInt(shardRoots.length * layout.shardSectors)

/** Moves the tail until there is nothing left to move, as a provider's agent does every period. */
async function moveAll({ prover }: StorageSystem): Promise<bigint> {
  let total = 0n
  for (;;) {
    const moved = await prover.moveTail.staticCall(100).catch(() => 0n)
    if (moved === 0n) return total
    await prover.moveTail(100)
    total += moved
  }
}

/** What these tests need to know of a deal. */
type Kept = Pick<SealedDeal, 'txSeq' | 'file' | 'startPeriod' | 'endPeriod'>

type Chance = { draws: bigint; span: bigint; live: bigint }

/** Opens the present period's round, holds its figures against the deals themselves, and returns them. */
async function openAndCheck(system: StorageSystem, deals: readonly Kept[]): Promise<Chance | undefined> {
  const { prover, params } = system
  const period = await currentPeriod(system)
  const alive = deals.filter(({ startPeriod, endPeriod }) => startPeriod <= period && period < endPeriod)
  const live = alive.reduce((sum, { file }) => sum + storedSectors(file), 0n)
  if (live === 0n) {
    await assert.rejects(prover.openRound(period, '0x'))
    return undefined
  }
  await prover.openRound(period, '0x')
  const { tail, span, live: counted, draws } = await prover.round(period)
  assert.equal(counted, live, 'live sectors are those of live deals')
  assert.ok(draws <= MAX_STRETCH * params.targetDraws, 'never more than 8 D draws')

  // Every live sector lies on the line exactly once: its deal has one whole entry between tail and end.
  const onLine = new Map<bigint, bigint>()
  for (let index = (await prover.entryCount()) - 1n; index >= 0n; index--) {
    const { start, sectors, txSeq } = await prover.entry(index)
    if (start + sectors > tail + span) continue
    if (start < tail) break
    onLine.set(txSeq, (onLine.get(txSeq) ?? 0n) + sectors)
  }
  for (const { txSeq, file } of alive) assert.equal(onLine.get(txSeq), storedSectors(file), `deal ${txSeq}`)
  return { draws, span, live }
}

/** Law 7: a live sector is drawn with a chance of at least D / live. */
const lawHolds = ({ draws, span, live }: Chance, targetDraws: bigint) => draws * live >= targetDraws * span

describe('dilution', () => {
  let system: StorageSystem
  before(async () => {
    system = await deployStorage({ params: PARAMS })
  })

  it('behavior: whatever is sealed, refunded and ended, chance >= D / live with at most 2 D + 1 draws', async () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ seal: fc.nat(FILES.length - 1), term: fc.integer({ min: 2, max: 20 }) }),
      },
      { weight: 1, arbitrary: fc.record({ abandon: fc.nat(FILES.length - 1) }) },
      { weight: 3, arbitrary: fc.record({ periods: fc.integer({ min: 1, max: 9 }) }) },
    )
    const seen = { rounds: 0, moved: 0n, appendedAnew: 0n, stretched: 0 }
    const { targetDraws } = system.params
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 20 }), (steps) =>
        system.rolledBack(async () => {
          const deals: Kept[] = []
          for (const now of [...steps, { periods: 3 }]) {
            if ('seal' in now) {
              const termPeriods = BigInt(now.term)
              deals.push(await sealFile(system, at(FILES, now.seal), { termPeriods }))
            } else if ('abandon' in now) {
              await submitFile(system, at(FILES, now.abandon))
            } else {
              for (let i = 0; i < now.periods; i++) {
                seen.moved += await moveAll(system)
                await enterPeriod(system, (await currentPeriod(system)) + 1n)
                const chance = await openAndCheck(system, deals)
                if (chance === undefined) continue
                seen.rounds += 1
                if (chance.draws > targetDraws) seen.stretched += 1
                assert.ok(lawHolds(chance, targetDraws), `${JSON.stringify(chance, (_, v) => `${v}`)}`)
                assert.ok(chance.draws <= 2n * targetDraws + 1n)
              }
            }
          }
          seen.appendedAnew += (await system.prover.entryCount()) - BigInt(deals.length)
        }),
      ),
      { numRuns: 20, seed: 0x2a },
    )
    assert.ok(seen.rounds > 100 && seen.moved > 20n, 'rounds were opened and tails moved')
    assert.ok(seen.appendedAnew > 0n, 'deals were appended anew')
    assert.ok(seen.stretched > 0, 'dead ranges within the line raised the draws')
  })

  it('behavior: without anybody moving the tail, the draws stretch to 8 D and stop there', () =>
    system.rolledBack(async () => {
      const { targetDraws } = system.params
      const small = await sealFile(system, at(FILES, 2), { termPeriods: 40n })
      const double = await sealFile(system, at(FILES, 2), { termPeriods: 2n })
      const huge = await sealFile(system, at(FILES, 5), { termPeriods: 12n })
      const deals = [small, double, huge]
      await enterPeriod(system, huge.endPeriod - 1n)
      const beside = await openAndCheck(system, deals)
      assert.ok(beside !== undefined && lawHolds(beside, targetDraws))
      await enterPeriod(system, huge.endPeriod)
      const alone = await openAndCheck(system, deals)
      assert.equal(alone?.draws, MAX_STRETCH * targetDraws)
      // One duty of one agent puts it right from the next period on.
      await moveAll(system)
      await enterPeriod(system, huge.endPeriod + 1n)
      const moved = await openAndCheck(system, deals)
      assert.deepEqual(moved, {
        draws: targetDraws,
        span: storedSectors(small.file),
        live: storedSectors(small.file),
      })
    }))

  it('behavior: a submission of 1 TiB that is refunded never touches the line', () =>
    system.rolledBack(async () => {
      const { market, prover, streams, uploader } = system
      const small = await sealFile(system, at(FILES, 1), { termPeriods: 20n })
      await enterPeriod(system, small.startPeriod)
      const before = await prover.nextFigures()
      const txSeq = await submitFile(system, at(FILES, 5))
      const escrowWei = await streams.escrowOf(txSeq)
      const creditWei = await streams.creditOf(uploader)
      await system.mineTo((await market.sealDeadline(txSeq)) + 1n)
      await market.refund(txSeq)
      assert.equal((await streams.creditOf(uploader)) - creditWei, escrowWei)
      assert.deepEqual([...(await prover.nextFigures())], [...before])
      await enterPeriod(system, (await currentPeriod(system)) + 1n)
      const chance = await openAndCheck(system, [small])
      assert.equal(chance?.draws, system.params.targetDraws)
    }))

  it('behavior: a thousand ended deals: the tail passes them in bounded steps, and the chance is as if they had never been', () =>
    system.rolledBack(async () => {
      const { flow, market, prover, uploader, params } = system
      const file = at(FILES, 0)
      const lasting = await sealFile(system, at(FILES, 2), { termPeriods: 100n })
      const [holder, second] = system.providers
      assert.ok(holder && second)
      const assignment = file.shardRoots.map((_, index) => (index === 0 ? second : holder))
      const deals: Kept[] = [lasting]
      const value = 20n * (await market.pricePerSector())
      const batchSubmit = flow.connect(uploader)['batchSubmit((uint256,bytes,(bytes32,uint256)[])[])']
      const items = Array.from({ length: 20 }, () => submissionData(file))
      for (let batch = 0; batch < 50; batch++) {
        const first = await flow.numSubmissions()
        await batchSubmit(items, { value })
        for (let txSeq = first; txSeq < first + 20n; txSeq++) {
          const { request } = await draftSeal(system, { txSeq, file, assignment })
          await market.connect(uploader).seal(request, { value: params.parityBondWei })
          const { startPeriod, endPeriod } = await market.deal(txSeq)
          deals.push({ txSeq, file, startPeriod, endPeriod })
        }
      }
      assert.equal(deals.length, 1001)
      const lastEnd = deals.at(-1)?.endPeriod ?? 0n
      assert.ok(lastEnd < lasting.endPeriod)
      await enterPeriod(system, lastEnd + 1n)
      const chance = await openAndCheck(system, deals)
      assert.ok(chance !== undefined && chance.draws <= MAX_STRETCH * params.targetDraws)

      let moved = 0n
      for (let calls = 0; calls < 100; calls++) {
        const step = await prover.moveTail.staticCall(50).catch(() => 0n)
        if (step === 0n) break
        assert.ok(step <= 50n)
        const receipt = await (await prover.moveTail(50)).wait()
        assert.ok(receipt && receipt.gasUsed < 1_000_000n, `${receipt?.gasUsed} gas for 50 entries`)
        moved += step
      }
      assert.ok(moved >= 1000n)
      await enterPeriod(system, lastEnd + 2n)
      const after = await openAndCheck(system, deals)
      const live = storedSectors(lasting.file)
      assert.deepEqual(after, { draws: params.targetDraws, span: live, live })
    }))
})
