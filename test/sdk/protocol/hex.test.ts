import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bytesEqual, fromHex, toHex } from '../../../sdk/protocol/hex.ts'

describe('fromHex', () => {
  it('default: reads what toHex writes', () => {
    const bytes = Uint8Array.of(0, 1, 0xab, 0xff)
    assert.equal(toHex(bytes), '0x0001abff')
    assert.deepEqual(fromHex('0x0001ABff', 4), bytes)
    assert.deepEqual(fromHex('0x'), new Uint8Array())
  })

  it('error: no prefix, odd, other characters, another length', () => {
    for (const text of ['', '0001', '0x1', '0xzz', '0x00\n', ' 0x00']) {
      assert.throws(() => fromHex(text), { code: 'BAD_HEX' }, JSON.stringify(text))
    }
    assert.throws(() => fromHex('0x00', 32), { code: 'BAD_HEX' })
  })
})

describe('bytesEqual', () => {
  it('default: equal only when every byte is', () => {
    assert.ok(bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2)))
    assert.ok(!bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3)))
    assert.ok(!bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1)))
  })
})
