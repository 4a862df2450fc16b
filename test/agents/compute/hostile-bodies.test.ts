import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ZodError } from 'zod'
import { asComputeError } from '../../../agents/compute/openai-error.ts'
import { inferSchema, readTensors } from '../../../agents/compute/tensor-json.ts'
import { parseChat, parseCompletion, parseJsonBody } from '../../../agents/compute/text-request.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'

const MANY = new Array(300_000).fill(0)

describe('bodies with lists of hundreds of thousands of wrong items', () => {
  const bodies: [string, (body: unknown) => unknown, object][] = [
    ['messages', parseChat, { messages: MANY }],
    ['parts', parseChat, { messages: [{ role: 'user', content: MANY }] }],
    ['stop', parseChat, { messages: [{ role: 'user', content: 'x' }], stop: MANY }],
    ['tools', parseChat, { messages: [{ role: 'user', content: 'x' }], tools: MANY }],
    ['prompt', parseCompletion, { prompt: MANY }],
    ['dims', (body) => inferSchema.parse(body), { inputs: { x: { dims: MANY, data: [] } } }],
    ['inputs', (body) => inferSchema.parse(body), { inputs: Object.fromEntries(MANY.entries()) }],
  ]
  for (const [name, parse, body] of bodies) {
    it(`error: ${name}: refused with a message of some words`, () => {
      assert.throws(
        () => parse(body),
        (error) => {
          assert.ok(error instanceof ZodError)
          assert.ok(JSON.stringify(error.issues).length < 10_000)
          return asComputeError(error).message.length < 300
        },
      )
    })
  }
})

describe('parseJsonBody', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)

  it('default: long texts and long lists of numbers', () => {
    const text = 'say "no": [x] '.repeat(1000)
    const body = { messages: [{ role: 'user', content: text }], data: MANY }
    assert.deepEqual(parseJsonBody(bytes(JSON.stringify(body))), body)
  })

  it('error: hundreds of thousands of fields, or lists in lists', () => {
    const fields = JSON.stringify(Object.fromEntries(MANY.map((_, i) => [`k${i}`, 0])))
    const lists = '['.repeat(200_000) + ']'.repeat(200_000)
    for (const body of [fields, lists])
      assert.throws(
        () => parseJsonBody(bytes(body)),
        (error) => isZerogError(error) && /too many/.test(error.message),
      )
  })
})

describe('readTensors of items that are no numbers', () => {
  const spec = (type: string) => [{ name: 'x', type, dims: ['n'] }]
  let deep: unknown = []
  for (let i = 0; i < 100_000; i++) deep = [deep]
  for (const item of [null, {}, deep, 'y'.repeat(100_000), [1]])
    for (const type of ['float32', 'int64', 'uint8'])
      it(`error: ${type}: ${typeof item === 'string' ? 'a long text' : item === deep ? 'a deep list' : JSON.stringify(item)}`, () => {
        const { inputs } = inferSchema.parse({ inputs: { x: { dims: [1], data: [item] } } })
        assert.throws(
          () => readTensors(inputs, spec(type)),
          (error) =>
            isZerogError(error) && error.code === 'COMPUTE_INPUT_INVALID' && error.message.length < 300,
        )
      })
})
