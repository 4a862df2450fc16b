import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hexlify } from 'ethers'
import fc from 'fast-check'
import { apportionSeats, assignColumns, shuffleSeats } from '../../../sdk/protocol/seats.ts'
import { SeatHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { anyHash } from '../../support/content.ts'

const SEATS = 128
const SEED = `0x${'5e'.repeat(32)}`

const chain = await createChain()
const library = await new SeatHarness__factory(chain.signer(0)).deploy()

const anyFraction = fc.oneof(
  fc.constantFrom(0n, 1n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt(0n, 2n ** 64n - 1n),
)

/** From equal stakes to one that dwarfs all others, some of them nothing; never all nothing. */
const anyWeights = fc
  .array(
    fc.oneof(
      fc.constantFrom(0n, 1n, 32n * 10n ** 18n, 2n ** 128n - 1n),
      fc.bigInt(0n, 1000n),
      fc.bigInt(0n, 2n ** 128n - 1n),
    ),
    { minLength: 1, maxLength: SEATS },
  )
  .filter((weights) => weights.some((weight) => weight > 0n))

const sumOf = (values: readonly bigint[]) => values.reduce((sum, value) => sum + value, 0n)
const countOf = (owners: readonly number[], index: number) =>
  BigInt(owners.filter((owner) => owner === index).length)
const bytesOf = (hex: string) => [...Buffer.from(hex.slice(2), 'hex')]

describe('apportionSeats', () => {
  it('default: halves, quarters and eighths get exactly their share, in order', () => {
    for (const fraction of [0n, 2n ** 63n, 2n ** 64n - 1n]) {
      const owners = apportionSeats([4n, 2n, 1n, 1n], fraction)
      assert.deepEqual(
        owners,
        [64, 32, 16, 16].flatMap((seats, index) => Array(seats).fill(index)),
      )
    }
  })

  it('behavior: the fraction decides who of those between two whole quotas gets the seat', () => {
    const late = 2n ** 64n - 1n
    assert.deepEqual(
      [0n, late].map((fraction) => countOf(apportionSeats([1n, 2n], fraction), 0)),
      [43n, 42n],
    )
  })

  it('behavior: equals SeatLib; 128 seats; everybody gets its quota rounded down or up, who has nothing none', async () => {
    await fc.assert(
      fc.asyncProperty(anyWeights, anyFraction, async (weights, fraction) => {
        const owners = apportionSeats(weights, fraction)
        assert.deepEqual(bytesOf(await library.apportion(weights, fraction)), owners)
        assert.equal(owners.length, SEATS)
        const total = sumOf(weights)
        for (const [index, weight] of weights.entries()) {
          const seats = countOf(owners, index)
          const quota = weight * BigInt(SEATS)
          assert.ok(seats * total > quota - total && seats * total < quota + total, `seats of ${index}`)
        }
      }),
      { numRuns: 100, seed: 0x2a },
    )
  })

  it('behavior: over all fractions everybody gets its quota in the mean', () => {
    const weights = [7n, 11n, 1n, 300n, 58n, 90n]
    const total = sumOf(weights)
    // 2^64 / total steps apart, each fraction meets every place within a seat once.
    const seats = weights.map(() => 0n)
    for (let step = 0n; step < total; step++) {
      const owners = apportionSeats(weights, ((2n * step + 1n) * 2n ** 63n) / total)
      for (const owner of owners) seats[owner] = (seats[owner] ?? 0n) + 1n
    }
    assert.deepEqual(
      seats,
      weights.map((weight) => weight * BigInt(SEATS)),
    )
  })

  it('error: nobody has stake', async () => {
    assert.throws(() => apportionSeats([], 0n), { code: 'RANGE_INVALID' })
    assert.throws(() => apportionSeats([0n, 0n], 0n), { code: 'RANGE_INVALID' })
    await assert.rejects(library.apportion([0n, 0n], 0n))
  })
})

describe('shuffleSeats', () => {
  const places = Array.from({ length: SEATS }, (_, i) => i)

  it('behavior: equals SeatLib, loses nothing and follows from the seed alone', async () => {
    await fc.assert(
      fc.asyncProperty(anyHash, async (seed) => {
        const shuffled = shuffleSeats(places, seed)
        assert.deepEqual(bytesOf(await library.shuffle(hexlify(Uint8Array.from(places)), seed)), shuffled)
        assert.deepEqual(
          [...shuffled].sort((a, b) => a - b),
          places,
        )
        assert.deepEqual(shuffleSeats(places, seed), shuffled)
      }),
      { numRuns: 50, seed: 0x2a },
    )
  })

  it('behavior: every order of three comes up about equally often', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 6000; i++) {
      const order = shuffleSeats([0, 1, 2], `0x${i.toString(16).padStart(64, '0')}`).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    assert.equal(counts.size, 6)
    // The seeds are fixed: 1000 of each are expected, with a standard deviation of 29.
    for (const [order, count] of counts) assert.ok(Math.abs(count - 1000) < 150, `${order}: ${count}`)
  })

  it('behavior: one item, or none, stays', () => {
    assert.deepEqual(shuffleSeats([5], SEED), [5])
    assert.deepEqual(shuffleSeats([], SEED), [])
  })
})

describe('assignColumns', () => {
  it('behavior: equals SeatLib, column by column, and columnsOf tells the same', async () => {
    await fc.assert(
      fc.asyncProperty(anyWeights, anyHash, fc.bigInt(0n, 2n ** 128n - 1n), async (weights, seed, asked) => {
        const owners = assignColumns(weights, seed)
        const [a, b, c, d] = await library.assign(weights, seed)
        const words: [string, string, string, string] = [a, b, c, d]
        assert.deepEqual(words.flatMap(bytesOf), owners)
        const last = owners.at(-1)
        assert.equal(await library.ownerOf(words, SEATS - 1), BigInt(last ?? -1))
        let columns = 0n
        let seated = 0n
        for (const [column, owner] of owners.entries()) {
          if ((asked >> BigInt(owner)) & 1n) columns |= 1n << BigInt(column)
          seated |= 1n << BigInt(owner)
        }
        assert.equal(await library.columnsOf(words, asked), columns)
        assert.equal(await library.seatedIn(words), seated)
      }),
      { numRuns: 60, seed: 0x2a },
    )
  })

  it('behavior: another seed, other columns; the same seed, the same columns', () => {
    const weights = Array.from({ length: 8 }, (_, i) => BigInt(i + 1))
    assert.deepEqual(assignColumns(weights, SEED), assignColumns(weights, SEED))
    assert.notDeepEqual(assignColumns(weights, SEED), assignColumns(weights, `0x${'5f'.repeat(32)}`))
  })
})
