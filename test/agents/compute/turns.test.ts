import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTurns } from '../../../agents/compute/worker/turns.ts'

describe('createTurns', () => {
  it('behavior: whoever holds least comes first, then whoever came first; each user keeps its order', () => {
    const turns = createTurns<{ id: number; user: string }>()
    for (const [id, user] of ['a', 'a', 'a', 'b', 'b', 'c'].entries()) turns.add({ id, user })
    const held = new Map([['a', 1]])
    const order: number[] = []
    for (let one = turns.next(held); one !== undefined; one = turns.next(held)) {
      turns.take(one)
      held.set(one.user, (held.get(one.user) ?? 0) + 1)
      order.push(one.id)
    }
    assert.deepEqual(order, [3, 5, 0, 4, 1, 2])
    assert.equal(turns.size(), 0)
  })

  it('behavior: who has left is not called', () => {
    const turns = createTurns<{ id: number; user: string }>()
    for (const [id, user] of ['a', 'a', 'b'].entries()) turns.add({ id, user })
    turns.remove(0)
    turns.remove(2)
    turns.remove(9)
    assert.equal(turns.size(), 1)
    assert.equal(turns.next(new Map())?.id, 1)
  })
})
