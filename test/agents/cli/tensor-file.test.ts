import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { GraphInput } from '../../../agents/cli/graph-inputs.ts'
import { readTensorFile } from '../../../agents/cli/tensor-file.ts'
import { tempDir } from '../../support/temp-dir.ts'

const folder = tempDir()
const pixels: GraphInput = { name: 'pixel_values', type: 'float32', dims: ['batch', 1, 2, 2] }
const ids: GraphInput = { name: 'ids', type: 'int64', dims: ['batch', 'length'] }

function read(
  content: unknown,
  specs: readonly GraphInput[],
  { name = 'x.json', input = undefined as string | undefined } = {},
) {
  const file = join(folder, name)
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return readTensorFile(file, { specs, input })
}

describe('readTensorFile', () => {
  it('default: a nested list in the shape of the graph, its batch added', async () => {
    const expected = {
      pixel_values: { type: 'float32', dims: [1, 1, 2, 2], data: Float32Array.of(1, 2, 3, 4) },
    }
    assert.deepEqual(
      await read(
        [
          [1, 2],
          [3, 4],
        ],
        [pixels],
      ),
      expected,
    )
    assert.deepEqual(await read([1, 2, 3, 4], [pixels]), expected)
    const two = await read(
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
      [pixels],
    )
    assert.deepEqual(two.pixel_values?.dims, [2, 1, 2, 2])
  })

  it('behavior: described tensors, one or by name, in the type of the graph', async () => {
    const one = await read({ dims: [1, 2], data: [5, '9007199254740993'] }, [ids])
    assert.deepEqual(one.ids?.data, BigInt64Array.of(5n, 9007199254740993n))
    const both = await read(
      {
        inputs: {
          ids: { dims: [1, 1], data: [7] },
          pixel_values: { dims: [1, 1, 2, 2], data: [0, 0, 0, 1] },
        },
      },
      [pixels, ids],
    )
    assert.deepEqual(Object.keys(both).sort(), ['ids', 'pixel_values'])
    const named = await read([[1, 2]], [pixels, ids], { input: 'ids' })
    assert.deepEqual(named.ids?.dims, [1, 2])
  })

  const bad: [name: string, content: unknown, specs: GraphInput[], code?: string][] = [
    ['no JSON', '{', [pixels], 'BAD_REQUEST'],
    ['a shape that does not fit', [1, 2, 3], [pixels]],
    ['ragged lists', [[1, 2], [3]], [pixels]],
    ['words', ['a', 'b', 'c', 'd'], [pixels]],
    ['nothing', [], [pixels]],
    ['fractions for whole numbers', [[1.5]], [ids]],
    ['a count that is not its shape', { dims: [1, 3], data: [1] }, [ids]],
    ['a name that the model has not', { inputs: { other: { dims: [1], data: [1] } } }, [ids]],
    ['which of two inputs?', [[1]], [ids, pixels]],
  ]
  for (const [name, content, specs, code = 'COMPUTE_INPUT_INVALID'] of bad) {
    it(`error: ${name}`, () => assert.rejects(read(content, specs), { code }))
  }

  it('error: a file that is not there, of an unknown kind, or for an input that is not there', async () => {
    await assert.rejects(readTensorFile(join(folder, 'no.json'), { specs: [ids], input: undefined }), {
      code: 'FILE_MISSING',
    })
    await assert.rejects(read('x', [ids], { name: 'x.jpg' }), { code: 'BAD_REQUEST' })
    await assert.rejects(read([[1]], [ids], { input: 'other' }), { code: 'COMPUTE_INPUT_INVALID' })
  })
})
