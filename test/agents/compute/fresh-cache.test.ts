import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFreshCache } from '../../../agents/compute/fresh-cache.ts'

const LONG_MS = 1e9

function counter() {
  let loads = 0
  return { load: async () => ++loads, loads: () => loads }
}

describe('FreshCache', () => {
  it('default: a fresh value is not read again, until it is forgotten', async () => {
    const cache = createFreshCache<number>(LONG_MS)
    const { load } = counter()
    assert.deepEqual([await cache.get('a', load), await cache.get('a', load)], [1, 1])
    assert.equal(await cache.get('b', load), 2)
    cache.forget('a')
    assert.deepEqual([await cache.get('a', load), await cache.get('b', load)], [3, 2])
    cache.clear()
    assert.equal(await cache.get('b', load), 4)
  })

  it('behavior: with no age at all every look reads, but those at the same time share one', async () => {
    const cache = createFreshCache<number>(0)
    const { load, loads } = counter()
    assert.equal(await cache.get('a', load), 1)
    assert.deepEqual(await Promise.all([cache.get('a', load), cache.get('a', load)]), [2, 2])
    assert.equal(loads(), 2)
  })

  it('behavior: what was forgotten while it was read is not kept', async () => {
    const cache = createFreshCache<string>(LONG_MS)
    const { promise, resolve } = Promise.withResolvers<string>()
    const first = cache.get('a', () => promise)
    cache.forget('a')
    resolve('old')
    assert.equal(await first, 'old')
    assert.equal(await cache.get('a', async () => 'new'), 'new')
  })

  it('error: a failed read is told and not kept', async () => {
    const cache = createFreshCache<number>(LONG_MS)
    await assert.rejects(
      cache.get('a', () => Promise.reject(new Error('down'))),
      /down/,
    )
    assert.equal(await cache.get('a', async () => 7), 7)
  })
})
