import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { bodyPieces } from '../../../agents/storage/body-pieces.ts'
import { randomBytes } from '../../support/content.ts'

const never = new AbortController().signal
const LONG = { idleMs: 60_000, signal: never }

/** Reads all pieces, each copied while it is valid. */
async function readAll(pieces: AsyncIterable<Uint8Array>, into: Uint8Array[] = []): Promise<Buffer> {
  for await (const piece of pieces) into.push(piece.slice())
  return Buffer.concat(into)
}

describe('bodyPieces', () => {
  it('default: gives all bytes in order, however they come, in pieces of 256 KiB and a rest', async () => {
    const bytes = randomBytes(1_000_000, 1)
    for (const step of [1_000, 65_536, 400_000, 1_000_000]) {
      const body = new PassThrough({ highWaterMark: 2_000_000 })
      const parts: Uint8Array[] = []
      const reading = readAll(bodyPieces(body, LONG), parts)
      for (let at = 0; at < bytes.length; at += step) body.write(bytes.subarray(at, at + step))
      body.end()
      assert.ok((await reading).equals(bytes))
      assert.deepEqual(
        parts.map(({ length }) => length),
        [262_144, 262_144, 262_144, 213_568],
      )
    }
  })

  it('behavior: an empty body has no pieces', async () => {
    assert.equal((await readAll(bodyPieces(new PassThrough().end(), LONG))).length, 0)
  })

  it('behavior: a body is held up while a piece is worked on', async () => {
    const body = new PassThrough({ highWaterMark: 65_536 })
    let offered = 0
    const offer = () => {
      do offered += 65_536
      while (body.write(Buffer.alloc(65_536)))
    }
    body.on('drain', offer)
    const pieces = bodyPieces(body, LONG)
    offer()
    assert.equal((await pieces.next()).value?.length, 262_144)
    // Turns of the event loop in which an unheld body would be read on and on.
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    assert.ok(offered <= 1_000_000, `${offered}`)
    await pieces.return(undefined)
  })

  it('behavior: who stops early leaves the rest to be read', async () => {
    const bytes = randomBytes(600_000, 2)
    const body = new PassThrough({ highWaterMark: 65_536 })
    for (let at = 0; at < bytes.length; at += 50_000) body.write(bytes.subarray(at, at + 50_000))
    body.end()
    for await (const piece of bodyPieces(body, LONG)) {
      assert.ok(Buffer.from(piece).equals(bytes.subarray(0, piece.length)))
      break
    }
    assert.equal(body.destroyed, false)
    await readAll(bodyPieces(body, LONG))
    assert.equal(body.readableEnded, true)
  })

  it('error: silence is a TIMEOUT, after what has come', async () => {
    const body = new PassThrough()
    body.write(Buffer.alloc(1_000))
    const parts: Uint8Array[] = []
    await assert.rejects(readAll(bodyPieces(body, { idleMs: 50, signal: never }), parts), { code: 'TIMEOUT' })
    assert.equal(Buffer.concat(parts).length, 1_000)
  })

  it('error: a sender that goes away and an agent that stops are ABORTED, after what has come', async () => {
    const gone = new PassThrough()
    gone.write(Buffer.alloc(1_000))
    const parts: Uint8Array[] = []
    const reading = readAll(bodyPieces(gone, LONG), parts)
    gone.once('data', () => setImmediate(() => gone.destroy(new Error('reset'))))
    await assert.rejects(reading, { code: 'ABORTED' })
    assert.equal(Buffer.concat(parts).length, 1_000)

    const stop = new AbortController()
    const stopping = readAll(bodyPieces(new PassThrough(), { ...LONG, signal: stop.signal }))
    stop.abort()
    await assert.rejects(stopping, { code: 'ABORTED' })

    const before = new PassThrough().destroy()
    await assert.rejects(readAll(bodyPieces(before, LONG)), { code: 'ABORTED' })
  })
})
