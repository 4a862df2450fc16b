import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { boundJobUnits } from '../../../sdk/client/job-units.ts'
import type { JobRequest } from '../../../sdk/protocol/job-input.ts'

const one = (url: JobRequest['url'], body: JobRequest['body']) =>
  boundJobUnits([{ customId: 'a', url, body }])

describe('boundJobUnits', () => {
  it('default: rows of tensors are counted, in and out', () => {
    const inputs = { x: { dims: [5, 2], data: [] }, y: { dims: [5], data: [] } }
    const { inputUnits, maxUnits } = one('/v1/infer', { inputs })
    assert.deepEqual([inputUnits, maxUnits], [5n, 5n])
  })

  it('behavior: texts count by their bytes, answers by max_tokens or 256', () => {
    const text = 'fünf'.repeat(100)
    const bytes = BigInt(new TextEncoder().encode(text).length)
    const messages = [{ role: 'user', content: text }]
    for (const body of [{ messages }, { prompt: text }, { input: [text, 'x'] }]) {
      const { inputUnits } = one('/v1/chat/completions', body)
      assert.ok(inputUnits >= bytes && inputUnits < bytes + 200n, `${inputUnits}`)
    }
    assert.equal(one('/v1/completions', { prompt: 'a', max_tokens: 9 }).maxUnits, 9n)
    assert.equal(one('/v1/chat/completions', { messages, max_completion_tokens: 7 }).maxUnits, 7n)
    assert.equal(one('/v1/completions', { prompt: 'a' }).maxUnits, 256n)
    assert.equal(one('/v1/embeddings', { input: ['a', 'b'] }).maxUnits, 0n)
  })

  it('behavior: bodies that no provider takes have a bound as well', () => {
    for (const body of [{}, { inputs: null }, { inputs: { x: {} } }, { messages: [null] }, { input: [7] }])
      for (const url of ['/v1/infer', '/v1/embeddings', '/v1/completions'] as const)
        assert.ok(one(url, body).maxOutputBytes > 256n)
  })
})
