import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { GraphInput } from '../../../agents/cli/graph-inputs.ts'
import { fitImage, readImage } from '../../../agents/cli/image-file.ts'

const spec = (dims: GraphInput['dims'], type: GraphInput['type'] = 'float32'): GraphInput => ({
  name: 'pixel_values',
  ...{ type, dims },
})
const grey = (width: number, height: number, samples: number[]) => ({
  ...{ width, height },
  channels: 1 as const,
  samples: Uint8Array.from(samples),
})

describe('readImage', () => {
  it('default: PGM and PPM, with comments and any whitespace', () => {
    const pgm = Buffer.concat([Buffer.from('P5 # by hand\n2\n2\t255\n'), Buffer.from([0, 10, 20, 30])])
    assert.deepEqual(readImage(pgm), grey(2, 2, [0, 10, 20, 30]))
    const ppm = Buffer.concat([Buffer.from('P6\n1 1\n15\n'), Buffer.from([15, 0, 3])])
    assert.deepEqual([...readImage(ppm).samples], [255, 0, 51], 'brought to 8 bits')
  })

  it('error: too short, of text, or of 16 bits', () => {
    for (const text of ['P5 2 2 255\nabc', 'P2 1 1 255\n1', 'P5 1 1 65535\nab', 'hello'])
      assert.throws(() => readImage(Buffer.from(text)), { code: 'COMPUTE_INPUT_INVALID' }, text)
  })
})

describe('fitImage', () => {
  it('default: floats from 0 to 1, channels first', () => {
    const { dims, values } = fitImage(grey(2, 1, [0, 255]), spec(['batch', 1, 1, 2]))
    assert.deepEqual(
      [dims, values],
      [
        [1, 1, 1, 2],
        [0, 1],
      ],
    )
  })

  it('behavior: grey from colour by luma, colour from grey; channels last; integers', () => {
    const red = { width: 1, height: 1, channels: 3 as const, samples: Uint8Array.of(255, 0, 0) }
    assert.deepEqual(fitImage(red, spec(['n', 1, 1, 1], 'uint8')).values, [76])
    assert.deepEqual(fitImage(red, spec(['n', 3, 'h', 'w'], 'uint8')).values, [255, 0, 0])
    const two = fitImage(grey(2, 1, [1, 2]), spec(['n', 'h', 'w', 3], 'uint8'))
    assert.deepEqual(two, { dims: [1, 1, 2, 3], values: [1, 1, 1, 2, 2, 2] })
  })

  it("behavior: brought to the graph's size", () => {
    const half = fitImage(
      grey(
        4,
        4,
        Array.from({ length: 16 }, (_, i) => i),
      ),
      spec(['n', 1, 2, 2], 'uint8'),
    )
    // Each is the mean of four, 2.5, 4.5, 10.5 and 12.5, rounded.
    assert.deepEqual(half.values, [3, 5, 11, 13])
    const same = fitImage(grey(2, 2, [9, 9, 9, 9]), spec(['n', 1, 5, 7], 'uint8'))
    assert.deepEqual(new Set(same.values), new Set([9]))
  })

  it('error: a graph that takes no picture', () => {
    for (const dims of [['n', 64], ['n', 8, 8, 8], [1]])
      assert.throws(() => fitImage(grey(1, 1, [1]), spec(dims)), { code: 'COMPUTE_INPUT_INVALID' })
  })
})
