import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { argmax, floats, openModel, PRECISIONS, readModelJson } from './model-folder.ts'

type Heldout = {
  maxPixel: number
  shape: [number, number, number, number]
  rows: number[]
  labels: number[]
  images: number[][]
}

const heldout = readModelJson<Heldout>('digits', 'heldout.json')
const pixels = Float32Array.from(heldout.images.flat(), (value) => value / heldout.maxPixel)
const INT8_LOGITS_SHA256 = 'c53515a1fd7d718cfb4f6a5b66877380e5753e243ff852d3ab1f8501b09d4175'

async function classify(session: InferenceSession, values: Float32Array): Promise<Float32Array> {
  const input = new Tensor('float32', values, [values.length / 64, 1, 8, 8])
  return floats(await session.run({ pixel_values: input }), 'logits')
}

describe('digits', () => {
  it('the held-out set is 360 different images of the original, every class among them', () => {
    assert.deepEqual(heldout.shape, [360, 1, 8, 8])
    assert.equal(new Set(heldout.rows).size, 360)
    assert.equal(heldout.labels.length, 360)
    assert.equal(pixels.length, 360 * 64)
    assert.equal(new Set(heldout.labels).size, 10)
    assert.ok(heldout.images.flat().every((v) => Number.isInteger(v) && v >= 0 && v <= heldout.maxPixel))
  })

  for (const precision of PRECISIONS) {
    it(`${precision} names at least 97 % of the held-out images rightly`, async () => {
      const logits = await classify(await openModel('digits', precision), pixels)
      const right = heldout.labels.filter((label, i) => argmax(logits, i * 10, 10) === label).length
      assert.ok(right >= 0.97 * 360, `${right} of 360`)
    })

    it(`error: ${precision} refuses another image size`, async () => {
      const session = await openModel('digits', precision)
      const wrong = new Tensor('float32', new Float32Array(100), [1, 1, 10, 10])
      await assert.rejects(session.run({ pixel_values: wrong }), /dimension|shape/i)
    })
  }

  it('model_quantized gives the same bits on every machine, alone and in a batch', async () => {
    const session = await openModel('digits', 'model_quantized')
    const logits = await classify(session, pixels)
    const bytes = new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)
    assert.equal(createHash('sha256').update(bytes).digest('hex'), INT8_LOGITS_SHA256)
    for (const i of [0, 17, 359]) {
      const alone = await classify(session, pixels.slice(i * 64, i * 64 + 64))
      assert.deepEqual(alone, logits.slice(i * 10, i * 10 + 10))
    }
  })
})
