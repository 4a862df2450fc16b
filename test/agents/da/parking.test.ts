import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createParking } from '../../../agents/da/parking.ts'

describe('createParking', () => {
  it('behavior: of more blobs than there is room for the longest parked ends', () => {
    const parking = createParking({ mostBlobs: 2, mostBytes: 100 })
    const places = Array.from({ length: 4 }, () => parking.place(10))
    for (const place of [...places.slice(0, 3), ...places.slice(0, 3)]) place.park()
    assert.deepEqual(
      places.map(({ signal }) => signal.aborted),
      [true, false, false, false],
    )
    places[1]?.leave()
    places[3]?.park()
    assert.deepEqual(
      places.map(({ signal }) => signal.aborted),
      [true, false, false, false],
    )
  })

  it('behavior: of more bytes too, yet one always stays', () => {
    const parking = createParking({ mostBlobs: 9, mostBytes: 100 })
    const [small, large] = [parking.place(60), parking.place(500)]
    small.park()
    large.park()
    assert.deepEqual([small.signal.aborted, large.signal.aborted], [true, false])
  })
})
