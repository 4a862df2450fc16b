import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openFreeBook, writeFreeUse } from '../../../agents/compute/free-book.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { tempDir } from '../../support/temp-dir.ts'

const quota = { subject: '0xaa', period: 100, freeUnits: 10 }

function newBook(path = join(tempDir(), 'agent.sqlite')) {
  const store = openStore(path)
  const book = openFreeBook(store)
  const use = (units: number, change: Partial<typeof quota> = {}) =>
    store.transaction((tx) => writeFreeUse(tx, { ...quota, ...change, units }))
  return { path, store, book, use }
}

describe('FreeBook', () => {
  it('default: what is set aside and what is used come off what is left', () => {
    const { book, use } = newBook()
    const first = book.hold(quota, 6)
    const second = book.hold(quota, 6)
    assert.deepEqual([first.units, second.units, book.hold(quota, 6).units], [6, 4, 0])
    assert.deepEqual(first.use, { subject: '0xaa', period: 100, units: 6 })
    // Less than was set aside: the rest is there again.
    use(2)
    first.release()
    first.release()
    assert.equal(book.usedUnits(quota), 2)
    assert.equal(book.hold(quota, 9).units, 4)
  })

  it('behavior: no quota, other subjects, a quota that shrank below what is used', () => {
    const { book, use } = newBook()
    assert.deepEqual([book.hold(undefined, 5).units, book.hold(undefined, 5).use], [0, undefined])
    use(8)
    assert.equal(book.hold({ ...quota, subject: '0xbb' }, 5).units, 5)
    assert.equal(book.hold({ ...quota, freeUnits: 7 }, 5).units, 0)
  })

  it('behavior: the next period begins anew; one that is over has nothing left and changes nothing', () => {
    const { book, use } = newBook()
    use(10)
    const next = { ...quota, period: 140 }
    assert.equal(book.hold(next, 3).units, 3)
    use(3, { period: 140 })
    assert.equal(book.hold(quota, 3).units, 0)
    use(5)
    assert.equal(book.usedUnits(next), 3)
  })

  it('behavior: it is there after a restart, and gone with a transaction that fails', () => {
    const { path, store, book, use } = newBook()
    use(4)
    assert.throws(() =>
      store.transaction((tx) => {
        writeFreeUse(tx, { ...quota, units: 5 })
        throw new Error('no')
      }),
    )
    assert.equal(book.usedUnits(quota), 4)
    store.close()
    const again = newBook(path)
    assert.equal(again.book.usedUnits(quota), 4)
    again.store.close()
  })
})
