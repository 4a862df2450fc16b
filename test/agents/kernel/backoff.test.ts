import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { retryDelayMs } from '../../../agents/kernel/backoff.ts'

describe('retryDelayMs', () => {
  const longest = (hasDeadline: boolean) =>
    Math.max(...Array.from({ length: 200 }, (_, i) => retryDelayMs(i + 1, hasDeadline)))

  it('default: grows to half a minute', () => {
    assert.ok(retryDelayMs(1, false) <= 500)
    assert.ok(longest(false) >= 15_000 && longest(false) <= 30_000)
  })

  it('behavior: work with a deadline never waits more than two seconds', () => {
    assert.ok(longest(true) <= 2000)
  })
})
