import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { InferenceSession } from 'onnxruntime-node'
import { createTensorRuns } from '../../../agents/compute/worker/tensor-runs.ts'
import { ONNX_FLOAT, onnxFile } from '../../../scripts/bench/compute/onnx-file.ts'

/** Softmax over the first dimension: joined, two requests would change each other's answer. */
const softmax = (dimension: string) =>
  InferenceSession.create(
    onnxFile({
      name: 'softmax',
      nodes: [{ op: 'Softmax', inputs: ['x'], outputs: ['y'], attributes: { axis: 0 } }],
      inputs: [{ name: 'x', type: ONNX_FLOAT, dims: [dimension] }],
      outputs: [{ name: 'y', type: ONNX_FLOAT, dims: [dimension] }],
    }),
  )

describe('tensorRuns', () => {
  for (const [dimension, steps] of [
    ['sequence_length', 2],
    ['batch_size', 1],
  ] as const)
    it(`behavior: requests are joined along a batch and nothing else: ${dimension}`, async () => {
      const answers = new Map<number, number[]>()
      const runs = createTensorRuns({
        session: await softmax(dimension),
        maxRows: 100,
        onResult: (id, { y }) => void answers.set(id, Array.from(y?.data ?? [], Number)),
        onFailed: (_, error) => assert.fail(String(error)),
      })
      for (const id of [1, 2])
        runs.add({ id, inputs: { x: { type: 'float32', dims: [2], data: new Float32Array([id, id]) } } })
      let count = 0
      for (; !runs.isIdle(); count++) await runs.step()
      assert.equal(count, steps)
      if (steps === 2) for (const id of [1, 2]) assert.deepEqual(answers.get(id), [0.5, 0.5])
    })
})
