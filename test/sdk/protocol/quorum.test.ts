import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  areSafeQuorums,
  columnCount,
  isSafeQuorum,
  mostColumns,
  type Quorums,
  quorumLevel,
} from '../../../sdk/protocol/quorum.ts'
import { assignColumns } from '../../../sdk/protocol/seats.ts'
import { anyHash, at } from '../../support/content.ts'

const COLUMNS = 128
const NEEDED = 64
const QUORUMS: Quorums = { soft: { columns: 86, adversary: 21 }, final: { columns: 107, adversary: 42 } }

const bitmapOf = (columns: readonly number[]) =>
  columns.reduce((bits, column) => bits | (1n << BigInt(column)), 0n)

/** Members with stake, an epoch's seed, which members are bad, and which columns were signed. */
const world = fc.integer({ min: 2, max: 24 }).chain((members) =>
  fc.record({
    weights: fc.array(fc.bigInt(1n, 1_000_000n), { minLength: members, maxLength: members }),
    seed: anyHash,
    badOrder: fc.shuffledSubarray(
      Array.from({ length: members }, (_, i) => i),
      { minLength: members, maxLength: members },
    ),
    adversary: fc.integer({ min: 0, max: 63 }),
    signOrder: fc.shuffledSubarray(
      Array.from({ length: members }, (_, i) => i),
      { minLength: members, maxLength: members },
    ),
  }),
)

describe('isSafeQuorum', () => {
  it('default: the quorums of the design', () => {
    assert.ok(areSafeQuorums(QUORUMS))
  })

  it('error: one column short of safety, more columns than there are, FINAL below SOFT', () => {
    for (const quorum of [
      { columns: 106, adversary: 43 },
      { columns: 63, adversary: 0 },
      { columns: 129, adversary: 42 },
      { columns: 107, adversary: -1 },
    ]) {
      assert.equal(isSafeQuorum(quorum), false)
      assert.equal(areSafeQuorums({ ...QUORUMS, final: quorum }), false)
      assert.equal(areSafeQuorums({ ...QUORUMS, soft: quorum }), false)
    }
    assert.equal(areSafeQuorums({ soft: QUORUMS.final, final: QUORUMS.soft }), false)
  })

  it('behavior: a safe FINAL implies recoverability, whatever the stakes, the seats and the adversary within its bound', () => {
    let finals = 0
    let boundMet = 0
    fc.assert(
      fc.property(world, ({ weights, seed, badOrder, adversary, signOrder }) => {
        const holders = assignColumns(weights, seed)
        const columnsOf = (members: ReadonlySet<number>) =>
          holders.flatMap((holder, column) => (members.has(holder) ? [column] : []))
        // As many bad members as the bound allows; they sign everything and serve nothing.
        const bad = new Set<number>()
        for (const member of badOrder) {
          if (columnsOf(new Set([...bad, member])).length <= adversary) bad.add(member)
        }
        const badColumns = columnsOf(bad)
        if (badColumns.length === adversary) boundMet += 1
        const quorum = { columns: adversary + NEEDED, adversary }
        assert.ok(isSafeQuorum(quorum))
        const quorums = { soft: quorum, final: quorum }
        // The worst disperser: with all of the adversary, it serves honest members only until the quorum stands.
        const signers = new Set(bad)
        for (const member of signOrder) {
          if (quorumLevel(bitmapOf(columnsOf(signers)), quorums) === 'final') break
          signers.add(member)
        }
        const signed = columnsOf(signers)
        if (quorumLevel(bitmapOf(signed), quorums) !== 'final') return
        finals += 1
        const served = signed.filter((column) => !badColumns.includes(column))
        assert.ok(served.length >= NEEDED, `${served.length} columns are left`)
      }),
      { numRuns: 400, seed: 0x2a },
    )
    assert.ok(
      finals > 300 && boundMet > 50,
      `${finals} reached FINAL, ${boundMet} adversaries met their bound`,
    )
  })

  it('behavior: a quorum one column weaker can be FINAL and lost', () => {
    const holders = assignColumns(Array(COLUMNS).fill(1n), `0x${'11'.repeat(32)}`)
    assert.equal(new Set(holders).size, COLUMNS)
    const weak = { columns: 106, adversary: 43 }
    assert.equal(isSafeQuorum(weak), false)
    const signed = Array.from({ length: 106 }, (_, column) => column)
    assert.equal(quorumLevel(bitmapOf(signed), { soft: weak, final: weak }), 'final')
    assert.equal(signed.slice(43).length, NEEDED - 1)
  })
})

describe('quorumLevel', () => {
  it('behavior: turns exactly at the thresholds', () => {
    const level = (count: number) => quorumLevel((1n << BigInt(count)) - 1n, QUORUMS)
    assert.deepEqual([0, 85, 86, 106, 107, 128].map(level), [
      'none',
      'none',
      'soft',
      'soft',
      'final',
      'final',
    ])
  })

  it('behavior: bits beyond the columns do not count', () => {
    assert.equal(columnCount((1n << 200n) | 1n), 1)
    assert.equal(quorumLevel(((1n << 128n) - 1n) << 128n, QUORUMS), 'none')
  })
})

describe('mostColumns', () => {
  it('behavior: no seed gives the adversary more, and some seed gives it that many', () => {
    let reached = 0
    fc.assert(
      fc.property(world, ({ weights, seed, badOrder }) => {
        const bad = new Set(badOrder.slice(0, Math.ceil(badOrder.length / 3)))
        const held = assignColumns(weights, seed).filter((holder) => bad.has(holder)).length
        const most = mostColumns(weights, bad)
        assert.ok(held <= most, `${held} columns, ${most} at most`)
        if (held === most) reached += 1
      }),
      { numRuns: 300, seed: 0x2a },
    )
    assert.ok(reached > 20, `${reached} of 300 met the bound`)
  })

  it('default: a third in one hand is at most 43 columns; in 128 equal hands exactly what they hold', () => {
    assert.equal(mostColumns([1n, 2n], new Set([0])), 43)
    const equal = Array<bigint>(COLUMNS).fill(10n)
    assert.equal(mostColumns(equal, new Set([0, 1, 2])), 3)
    assert.equal(mostColumns([at(equal, 0)], new Set([0])), COLUMNS)
  })
})
