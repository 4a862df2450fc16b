import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createEventReader } from '../../../sdk/client/event-reader.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('createEventReader', () => {
  it('default: events come whole, wherever the bytes are cut', () => {
    const text = 'data: {"a":"é"}\r\n\r\n: comment\ndata:x\ndata: y\n\nevent: z\n\ndata: [DONE]\n\n'
    const expected = ['{"a":"é"}', 'x\ny', '[DONE]']
    const whole = bytes(text)
    for (let size = 1; size <= whole.length; size++) {
      const reader = createEventReader()
      const events: string[] = []
      for (let at = 0; at < whole.length; at += size)
        events.push(...reader.push(whole.subarray(at, at + size)))
      assert.deepEqual(events, expected, `cut every ${size} bytes`)
    }
  })

  it('error: an event that does not end', () => {
    for (const part of ['x'.repeat(65_536), `data: ${'x'.repeat(65_536)}\n`]) {
      const reader = createEventReader()
      assert.throws(
        () => {
          for (let i = 0; i < 40; i++) reader.push(bytes(part))
        },
        (error) => isZerogError(error) && error.code === 'PEER_MISBEHAVED',
      )
    }
  })
})
