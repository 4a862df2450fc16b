import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDayBudget } from '../../../../agents/cli/proxy/day-budget.ts'
import { openStore } from '../../../../agents/kernel/store.ts'
import { tempDir } from '../../../support/temp-dir.ts'

const DAY_MS = 86_400_000

describe('openDayBudget', () => {
  it('default: what is set aside counts, and what it came to takes its place', () => {
    const budget = openDayBudget(openStore(':memory:'), { limitWei: 100n })
    const first = budget.reserve(60n)
    assert.throws(() => budget.reserve(41n), { code: 'INFERENCE_LIMIT_REACHED' })
    const second = budget.reserve(40n)
    first.close(10n)
    first.close(99n)
    assert.equal(budget.spentTodayWei(), 50n, 'closed once')
    second.close(0n)
    assert.equal(budget.spentTodayWei(), 10n)
    budget.reserve(90n)
    assert.throws(() => budget.reserve(1n), { code: 'INFERENCE_LIMIT_REACHED' })
  })

  it('behavior: a new day begins with nothing; amounts have no bound; no limit lets all through', () => {
    let now = 10 * DAY_MS - 1
    const store = openStore(':memory:')
    const budget = openDayBudget(store, { limitWei: 2n ** 100n, nowMs: () => now })
    const late = budget.reserve(2n ** 100n)
    now += 1
    budget.reserve(2n ** 100n).close(5n)
    // It ends on the day after it began, and counts for the first.
    late.close(2n ** 99n)
    assert.equal(budget.spentTodayWei(), 5n)
    now -= 1
    assert.equal(budget.spentTodayWei(), 2n ** 99n)
    const free = openDayBudget(store, { limitWei: undefined, nowMs: () => now })
    free.reserve(2n ** 200n).close(1n)
    assert.equal(free.spentTodayWei(), 2n ** 99n + 1n)
  })

  it('behavior: what was never closed stays spent after a restart', () => {
    const path = join(tempDir(), 'budget.sqlite')
    const before = openStore(path)
    const budget = openDayBudget(before, { limitWei: 100n })
    budget.reserve(20n).close(3n)
    budget.reserve(30n)
    before.close()
    const after = openStore(path)
    assert.equal(openDayBudget(after, { limitWei: 100n }).spentTodayWei(), 33n)
    after.close()
  })
})
