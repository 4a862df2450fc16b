import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { network } from 'hardhat'
import type { RateHarness } from '../../../typechain-types/index.js'

const KINDS = ['claim', 'add', 'remove', 'open', 'forfeit', 'suspend', 'reinstate'] as const
type Kind = (typeof KINDS)[number]
type Step = { kind: Kind; period: number; rate: bigint; endPeriod: number; maxBuckets: number }
type Custody = { rate: bigint; from: number; until: number; endPeriod: number }

/** One stream, period by period, without any of the library's ideas. */
class NaiveStream {
  readonly custodies: Custody[] = []
  readonly opened = new Set<number>()
  readonly forfeited = new Set<number>()
  suspended = false
  private readonly suspendedIn = new Set<number>()
  private periodNow = 0

  /** Moves the present to `period`: a suspension covers every period it lasts in. */
  enter(period: number): void {
    for (; this.periodNow < period; this.periodNow += 1) {
      if (this.suspended) this.suspendedIn.add(this.periodNow)
    }
  }

  rateIn(period: number): bigint {
    return this.custodies
      .filter((custody) => custody.from <= period && period < custody.until)
      .reduce((sum, custody) => sum + custody.rate, 0n)
  }

  /** What periods before `period` paid, and what they did not. */
  settledTo(period: number): { paidWei: bigint; restWei: bigint } {
    const sums = { paidWei: 0n, restWei: 0n }
    for (let p = 0; p < period; p += 1) {
      const paid = this.opened.has(p) && !this.forfeited.has(p) && !this.suspendedIn.has(p)
      sums[paid ? 'paidWei' : 'restWei'] += this.rateIn(p)
    }
    return sums
  }
}

type Draft = { kind: Kind; wait: number; rate: number; term: number; pick: number; maxBuckets: number }

/** Turns free choices into a legal life, and notes in the model what it means. */
function nextStep(draft: Draft, period: number, bucketPeriods: number, model: NaiveStream): Step | undefined {
  model.enter(period)
  const step = { kind: draft.kind, period, rate: 0n, endPeriod: 0, maxBuckets: draft.maxBuckets }
  switch (draft.kind) {
    case 'add': {
      const rate = BigInt(draft.rate)
      const endPeriod = Math.ceil((period + 1 + draft.term) / bucketPeriods) * bucketPeriods
      model.custodies.push({ rate, from: period + 1, until: endPeriod, endPeriod })
      return { ...step, rate, endPeriod }
    }
    case 'remove': {
      const movable = model.custodies.filter(({ until }) => until > period + 1)
      const moved = movable[draft.pick % Math.max(1, movable.length)]
      if (moved === undefined) return undefined
      moved.until = period + 1
      return { ...step, rate: moved.rate, endPeriod: moved.endPeriod }
    }
    case 'open':
      model.opened.add(period)
      return step
    case 'forfeit':
      if (period === 0 || model.suspended) return undefined
      model.forfeited.add(period)
      return step
    case 'suspend':
      model.suspended = true
      return step
    case 'reinstate':
      if (period === 0 || !model.suspended) return undefined
      model.suspended = false
      model.forfeited.add(period)
      return step
    case 'claim':
      return step
  }
}

const draft = fc.record({
  kind: fc.constantFrom<Kind>('claim', 'claim', 'add', 'add', 'remove', 'open', 'open', 'open', ...KINDS),
  wait: fc.oneof({ weight: 8, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(400) }),
  rate: fc.integer({ min: 1, max: 1_000_000 }),
  term: fc.integer({ min: 1, max: 120 }),
  pick: fc.nat(100),
  maxBuckets: fc.nat(4),
})

describe('RateLib', () => {
  let harness: RateHarness
  let close: () => Promise<void>

  before(async () => {
    const connection = await network.create()
    close = () => connection.close()
    harness = (await connection.ethers.deployContract('RateHarness')) as unknown as RateHarness
  })
  after(() => close())

  it('behavior: any life of a stream settles as a sum over single periods does', async () => {
    const counts = new Map<Kind, number>()
    let partialClaims = 0
    const life = fc.record({
      bucketPeriods: fc.constantFrom(1, 2, 5, 7, 96),
      drafts: fc.array(draft, { minLength: 10, maxLength: 60 }),
    })
    await fc.assert(
      fc.asyncProperty(life, async ({ bucketPeriods, drafts }) => {
        const model = new NaiveStream()
        const steps: Step[] = []
        const expectedRates: bigint[] = []
        let period = 0
        for (const choice of drafts) {
          period += choice.wait
          const step = nextStep(choice, period, bucketPeriods, model)
          if (step === undefined) continue
          steps.push(step)
          counts.set(step.kind, (counts.get(step.kind) ?? 0) + 1)
          expectedRates.push(model.rateIn(period))
        }
        const states = await harness.run.staticCall(
          bucketPeriods,
          steps.map((step) => ({ ...step, kind: KINDS.indexOf(step.kind) })),
        )
        // Settled periods are final: what the whole life says of them must be what the stream said at the time.
        for (const [index, state] of states.entries()) {
          const step = steps[index]
          assert.ok(step !== undefined)
          const settledTo = Number(state.settledTo)
          assert.ok(settledTo <= step.period)
          const sums = model.settledTo(settledTo)
          assert.equal(state.paidWei, sums.paidWei, `paid after step ${index}`)
          assert.equal(state.restWei, sums.restWei, `unpaid after step ${index}`)
          if (step.kind === 'claim') {
            if (settledTo < step.period) partialClaims += 1
          } else if (step.kind !== 'open') {
            assert.equal(settledTo, step.period, 'a mutation settles fully')
            assert.equal(state.rate, expectedRates[index], `rate after step ${index}`)
          }
        }
      }),
      { numRuns: 300, seed: 0x2a },
    )
    for (const kind of KINDS) assert.ok((counts.get(kind) ?? 0) > 50, `${kind} happened`)
    assert.ok(partialClaims > 50, 'bounded claims stopped on the way')
  })

  it('behavior: bounded claims go on where the last one stopped', async () => {
    const open = (period: number) => ({ kind: 3, period, rate: 0, endPeriod: 0, maxBuckets: 0 })
    const claim = (maxBuckets: number) => ({ kind: 0, period: 40, rate: 0, endPeriod: 0, maxBuckets })
    const add = { kind: 1, period: 0, rate: 7, endPeriod: 30, maxBuckets: 0 }
    const opened = Array.from({ length: 40 }, (_, period) => open(period))
    const states = await harness.run.staticCall(5, [add, ...opened, claim(0), claim(1), claim(2), claim(9)])
    const last = states.slice(-4).map(({ settledTo, paidWei }) => [settledTo, paidWei])
    assert.deepEqual(last, [
      [0n, 0n],
      [5n, 28n],
      [15n, 98n],
      [40n, 203n],
    ])
  })

  it('behavior: openedIn counts what a plain loop counts', async () => {
    const word = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n })
    const dense = fc.constantFrom(0n, 1n, 2n ** 255n, 2n ** 256n - 1n, 2n ** 256n - 2n)
    const range = fc.tuple(fc.nat(512), fc.nat(512))
    await fc.assert(
      fc.asyncProperty(fc.oneof(word, dense), fc.oneof(word, dense), range, async (low, high, [a, b]) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        const bits = (high << 256n) | low
        let expected = 0n
        for (let p = from; p < to; p += 1) expected += (bits >> BigInt(p)) & 1n
        assert.equal(await harness.openedIn.staticCall(low, high, from, to), expected)
      }),
      { numRuns: 200, seed: 0x2a },
    )
  })
})
