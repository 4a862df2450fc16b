import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createDoor } from '../../../agents/da/door.ts'

const MIB = 1024 * 1024

/** A door of three places and 10 MiB, and its clock. */
function open() {
  const clock = { nowMs: 0 }
  const door = createDoor({ places: 3, mostBytes: 10 * MIB, now: () => clock.nowMs })
  return { clock, enter: (from: string, bytes = MIB) => door.enter({ from, bytes }) }
}

describe('createDoor', () => {
  it('default: so many places and bytes, and no more', () => {
    const { enter } = open()
    const first = enter('a', 4 * MIB)
    enter('b', 6 * MIB)
    assert.throws(() => enter('c', 1), { code: 'DA_BUSY' })
    first.leave()
    first.leave()
    enter('c', 2 * MIB)
    enter('d', 2 * MIB)
    assert.throws(() => enter('e', 1), { code: 'DA_BUSY' })
    const { enter: alone } = open()
    alone('a', 20 * MIB)
  })

  it('behavior: who has most makes room, the newest first', () => {
    const { enter } = open()
    const greedy = [enter('a'), enter('a'), enter('a')]
    enter('b')
    assert.deepEqual(
      greedy.map(({ signal }) => signal.aborted),
      [false, false, true],
    )
    assert.throws(() => enter('b'), { code: 'DA_BUSY' })
    assert.throws(() => enter('a'), { code: 'DA_BUSY' })
  })

  it('behavior: who is too slow for its length makes room, who has sent all never does', () => {
    const { enter, clock } = open()
    const arrived = enter('a')
    arrived.arrived()
    const large = enter('b', 4 * MIB)
    const small = enter('c')
    clock.nowMs = 10_000
    enter('d')
    assert.deepEqual(
      [arrived.signal.aborted, large.signal.aborted, small.signal.aborted],
      [false, false, true],
    )
    assert.throws(() => enter('e'), { code: 'DA_BUSY' })
    clock.nowMs = 22_000
    enter('e')
    assert.ok(large.signal.aborted)
  })
})
