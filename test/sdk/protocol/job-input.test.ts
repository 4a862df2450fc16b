import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  formatJobAnswer,
  formatJobInput,
  type JobAnswer,
  type JobRequest,
  parseJobOutput,
  parseJobRequest,
} from '../../../sdk/protocol/job-input.ts'

const requests: JobRequest[] = [
  { customId: 'a', url: '/v1/embeddings', body: { input: 'two\nlines' } },
  { customId: 'b', url: '/v1/infer', body: { inputs: {} } },
]

describe('a batch job', () => {
  it('default: requests come out of the input as they went in, one a line', () => {
    const lines = formatJobInput(requests).split('\n')
    assert.equal(lines.pop(), '')
    assert.deepEqual(lines.map(parseJobRequest), requests)
  })

  it('default: so do answers, and errors, out of the output', () => {
    const answers: JobAnswer[] = [
      { id: 'line-0', customId: 'a', result: { ok: true, body: { data: [1] } } },
      { id: 'line-1', customId: null, result: { ok: false, code: 'BAD_REQUEST', message: 'no JSON' } },
    ]
    const text = answers.map(formatJobAnswer).join('')
    assert.deepEqual(parseJobOutput(text, 2), answers)
    assert.throws(() => parseJobOutput(text, 3), { code: 'BAD_REQUEST', message: /2 lines/ })
    assert.throws(() => parseJobOutput(text.slice(0, -1)), { code: 'BAD_REQUEST' })
    const [first = ''] = text.split('\n')
    assert.throws(() => parseJobOutput(`${first}\n${first}\n`), { code: 'BAD_REQUEST', message: /line 1/ })
    for (const line of ['[]', '{}', '{"id":"line-0","custom_id":null,"response":null,"error":null}'])
      assert.throws(() => parseJobOutput(`${line}\n`), { code: 'BAD_REQUEST' })
  })

  it('error: lines that are no request say what is wrong, and whose', () => {
    const line = (change: object) =>
      JSON.stringify({ custom_id: 'x', method: 'POST', url: '/v1/infer', body: {}, ...change })
    const cases: [string, RegExp, string | undefined][] = [
      ['{"custom_id"', /not JSON/, undefined],
      ['[1]', /no object/, undefined],
      [line({ custom_id: 7 }), /custom_id/, undefined],
      [line({ custom_id: 'x'.repeat(65) }), /custom_id/, undefined],
      [line({ method: 'GET' }), /POST/, 'x'],
      [line({ url: '/v1/files' }), /url must be one of/, 'x'],
      [line({ body: [] }), /body/, 'x'],
      [line({ body: { stream: true } }), /streamed/, 'x'],
    ]
    for (const [text, message, customId] of cases)
      assert.throws(
        () => parseJobRequest(text),
        (error: { code: string; message: string; meta: object }) => {
          assert.equal(error.code, 'BAD_REQUEST')
          assert.match(error.message, message)
          assert.deepEqual(error.meta, customId === undefined ? {} : { customId })
          return true
        },
      )
    const [first] = requests
    assert.ok(first)
    assert.throws(() => formatJobInput([first, first]), { code: 'BAD_REQUEST', message: /one custom_id/ })
    assert.throws(() => formatJobInput([]), { code: 'BAD_REQUEST' })
  })
})
