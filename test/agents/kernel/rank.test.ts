import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Wallet } from 'ethers'
import { rank } from '../../../agents/kernel/rank.ts'
import { DEV_KEYS } from '../../support/anvil.ts'

const operators = DEV_KEYS.map((key) => new Wallet(key).address)

describe('rank', () => {
  it('default: every operator has a place of its own, whatever the order of the list', () => {
    const places = operators.map((self) => rank(7n, self, operators).rank)
    assert.deepEqual([...places].sort(), [0, 1, 2, 3])
    const reversed = [...operators].reverse().map((address) => address.toLowerCase())
    assert.deepEqual(
      operators.map((self) => rank(7n, self, reversed).rank),
      places,
    )
  })

  it('behavior: the order differs from id to id', () => {
    const orders = Array.from({ length: 32 }, (_, id) =>
      operators.map((self) => rank(BigInt(id), self, operators).rank).join(),
    )
    assert.ok(new Set(orders).size > 8)
  })

  it('behavior: waits two blocks for each before it; an outsider goes last', () => {
    const places = operators.map((self) => rank(7n, self, operators))
    for (const { rank: place, waitBlocks } of places) assert.equal(waitBlocks, 2 * place)
    const [first = '', ...others] = operators
    assert.deepEqual(rank(7n, first, others), { rank: 3, waitBlocks: 6 })
  })
})
