import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { zeroPadValue } from 'ethers'
import { createCommittees } from '../../../agents/da/committees.ts'
import type { DaChain } from '../../../sdk/chain/da-chain.ts'

const KEY_SET = `0x${'5e'.repeat(20)}`
/** STOP, the aggregate, and 128 members of a key and an address. */
const KEY_SET_BYTES = 1 + 128 + 128 * (128 + 20)
const MINUTE_MS = 60_000

/** A chain whose epochs are formed, with all columns in one slot. */
function chainOf(slot: number) {
  const chain = { slot, keySet: KEY_SET, asked: 0 }
  const committee = {
    activeEpoch: async () => 3n,
    epochOf: async () => {
      chain.asked++
      const word = `0x${chain.slot.toString(16).padStart(2, '0').repeat(32)}`
      return { keySet: chain.keySet, seatWei: 1n, columnSlots: [word, word, word, word] }
    },
  }
  const provider = { getCode: async () => `0x${'00'.repeat(KEY_SET_BYTES)}` }
  return { chain, daChain: { da: { committee }, provider } as unknown as DaChain }
}

describe('createCommittees', () => {
  it('behavior: the committee that a reorganization brings is noticed', async () => {
    const { chain, daChain } = chainOf(7)
    let nowMs = 0
    const committees = createCommittees(daChain, () => nowMs)
    assert.equal((await committees.at(3n)).holders[0]?.slot, 7)
    chain.slot = 9
    nowMs += 10_000
    assert.equal((await committees.active())?.holders[127]?.slot, 9)
    chain.keySet = zeroPadValue('0x', 20)
    nowMs += 10_000
    assert.equal((await committees.at(3n)).holders[0]?.slot, 9, 'a node that lags says nothing')
  })

  it('behavior: one that has stood for long is not asked for any more', async () => {
    const { chain, daChain } = chainOf(7)
    let nowMs = 0
    const committees = createCommittees(daChain, () => nowMs)
    for (; nowMs < 40 * MINUTE_MS; nowMs += MINUTE_MS) await committees.at(3n)
    const { asked } = chain
    for (let i = 0; i < 10; i++, nowMs += MINUTE_MS) await committees.at(3n)
    assert.equal(chain.asked, asked)
  })
})
