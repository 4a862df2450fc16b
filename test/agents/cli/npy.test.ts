import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseNpy } from '../../../agents/cli/npy.ts'

/** A file as `np.save` writes it: magic, version, header padded to 64 bytes, elements. */
function makeNpy(
  descr: string,
  shape: string,
  body: Uint8Array,
  { fortran = 'False', major = 1 } = {},
): Buffer {
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`
  const start = major === 1 ? 10 : 12
  const length = Math.ceil((start + text.length + 1) / 64) * 64 - start
  const size = Buffer.alloc(start - 8)
  if (major === 1) size.writeUInt16LE(length)
  else size.writeUInt32LE(length)
  const header = Buffer.from(`${text.padEnd(length - 1)}\n`, 'latin1')
  return Buffer.concat([
    Buffer.from([0x93]),
    Buffer.from('NUMPY'),
    Buffer.from([major, 0]),
    size,
    header,
    body,
  ])
}

const bytesOf = (array: { buffer: ArrayBufferLike }) => new Uint8Array(array.buffer)

describe('parseNpy', () => {
  it('default: floats with their shape', () => {
    const file = makeNpy('<f4', '(2, 3)', bytesOf(Float32Array.of(0, 0.5, -1, 2, 3, 4)))
    assert.deepEqual(parseNpy(file), { dims: [2, 3], values: [0, 0.5, -1, 2, 3, 4] })
    const one = parseNpy(makeNpy('<f8', '(1,)', bytesOf(Float64Array.of(1e300)), { major: 2 }))
    assert.deepEqual(one, { dims: [1], values: [1e300] })
  })

  it('behavior: integers, big-endian too', () => {
    const long = parseNpy(makeNpy('<i8', '(2,)', bytesOf(BigInt64Array.of(-1n, 2n ** 62n))))
    assert.deepEqual(long.values, [-1n, 2n ** 62n])
    const big = parseNpy(makeNpy('>i2', '(2,)', Uint8Array.of(0xff, 0xfe, 0x01, 0x00)))
    assert.deepEqual(big.values, [-2, 256])
    assert.deepEqual(parseNpy(makeNpy('|u1', '(2,)', Uint8Array.of(7, 255))).values, [7, 255])
  })

  const four = bytesOf(Float32Array.of(1))
  const bad: [name: string, bytes: Uint8Array][] = [
    ['no .npy file', Buffer.from('PK and more than twelve')],
    ['nothing', new Uint8Array()],
    ['objects', makeNpy('|O', '(1,)', four)],
    ['column-major order', makeNpy('<f4', '(1,)', four, { fortran: 'True' })],
    ['too short', makeNpy('<f4', '(2,)', four)],
    ['too long', makeNpy('<f4', '()', new Uint8Array(8))],
    ['no elements', makeNpy('<f4', '(0,)', new Uint8Array())],
  ]
  for (const [name, bytes] of bad) {
    it(`error: ${name}`, () => assert.throws(() => parseNpy(bytes), { code: 'COMPUTE_INPUT_INVALID' }))
  }
})
