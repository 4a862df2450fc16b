import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chanceOf, oddsOf, seatOddsTable } from '../../scripts/seat-odds.ts'
import { apportionSeats } from '../../sdk/protocol/seats.ts'
import { readSource } from '../support/repository.ts'

const FRACTIONS = 2_000n

describe('seat odds', () => {
  it('agree with the apportionment itself, counted over the fractions', () => {
    const seats = [6.4, 1.7, 20.3, 2.6, 1.9, 30.1, 1.4, 63.6]
    const bad = new Set([1, 3, 4, 6])
    const weights = seats.map((count) => BigInt(Math.round(count * 1e9)))
    for (const columns of [6, 7, 8, 9, 10]) {
      let hits = 0
      for (let step = 0n; step < FRACTIONS; step++) {
        const fraction = ((2n * step + 1n) << 63n) / FRACTIONS
        const held = apportionSeats(weights, fraction).filter((owner) => bad.has(owner)).length
        if (held >= columns) hits += 1
      }
      const arrangement = seats.map((count, index) => ({ seats: count, isBad: bad.has(index) }))
      const counted = hits / Number(FRACTIONS)
      assert.ok(Math.abs(chanceOf(arrangement, columns) - counted) < 0.005, `${columns} columns: ${counted}`)
    }
  })

  it('one operator gets its quota rounded down or up', () => {
    assert.equal(oddsOf(42 / 128, 1), 0)
    assert.ok(Math.abs(oddsOf(42.5 / 128, 1) - 0.5) < 1e-9)
    assert.ok(Math.abs(oddsOf(43 / 128, 1) - 1) < 1e-9)
  })

  it('the README has this table', () => {
    const readme = readSource('README.md')
    for (const row of seatOddsTable()) assert.ok(readme.includes(`${row}\n`), row)
  })
})
