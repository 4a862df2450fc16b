import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createStopWatch } from '../../../agents/compute/stop-watch.ts'
import { loadTextModel } from '../../../agents/compute/text-model.ts'
import { likeliest, sampleToken } from '../../../agents/compute/worker/sample-token.ts'
import { modelDir } from './compute-world.ts'

describe('createStopWatch', () => {
  const feed = (stops: string[], pieces: string[]) => {
    const watch = createStopWatch(stops)
    let text = ''
    for (const piece of pieces) {
      const step = watch.push(piece)
      text += step.text
      if (step.isStopped) return `${text}|`
    }
    return text + watch.flush()
  }

  it('default: text passes through', () => assert.equal(feed([], ['ab', 'c']), 'abc'))

  it('behavior: a stop string over pieces is met, and nothing of it leaves', () => {
    assert.equal(feed(['END'], ['one E', 'N', 'D two']), 'one |')
    assert.equal(feed(['aab'], ['aa', 'ab']), 'a|')
    assert.equal(feed(['b', 'abc'], ['xabc']), 'x|')
  })

  it('behavior: what only began like one leaves in the end', () => {
    assert.equal(feed(['END'], ['one EN', 'E']), 'one ENE')
    assert.equal(feed(['END'], ['one EN']), 'one EN')
  })
})

describe('sampleToken', () => {
  const data = Float32Array.from([9, 9, 1, 3, 2, Number.NaN, 9])
  const logits = { data, start: 2, length: 4 }
  const seed = new Uint8Array([1])

  it('default: temperature 0 takes the likeliest of its own part; NaN never', () => {
    assert.equal(likeliest(logits), 1)
    assert.equal(sampleToken(logits, { temperature: 0, topP: 1, seed }, 0), 1)
  })

  it('behavior: draws as the probabilities say, the same for the same seed and step', () => {
    const even = { data: Float32Array.from([1, 1, -50, 1]), start: 0, length: 4 }
    const counts = [0, 0, 0, 0]
    for (let step = 0; step < 3000; step++) {
      const token = sampleToken(even, { temperature: 1, topP: 1, seed }, step)
      assert.equal(token, sampleToken(even, { temperature: 1, topP: 1, seed }, step))
      counts[token] = (counts[token] ?? 0) + 1
    }
    assert.equal(counts[2], 0)
    for (const token of [0, 1, 3]) assert.ok(Math.abs((counts[token] ?? 0) - 1000) < 150, `${counts}`)
  })

  it('behavior: top-p leaves the unlikely out', () => {
    const skewed = { data: Float32Array.from([0, 3, 1]), start: 0, length: 3 }
    for (let step = 0; step < 300; step++)
      assert.equal(sampleToken(skewed, { temperature: 1, topP: 0.5, seed }, step), 1)
  })
})

describe('loadTextModel', () => {
  const path = modelDir('chat')
  const open = async () => {
    const model = await loadTextModel({
      ...{ path, onnxFile: '', manifestRoot: undefined },
      files: new Set(readdirSync(path)),
    })
    assert.ok(model)
    return model
  }

  it('default: what is decoded piece by piece is the text, whatever its bytes', async () => {
    const model = await open()
    const text = `Hello, wörld! ${'日本語 '.repeat(12)}🦊🦊 ${'many words '.repeat(20)}`
    const decoder = model.createDecoder()
    const pieces = model.encodeText(text).map((id) => decoder.push(id))
    assert.equal(pieces.join('') + decoder.flush(), text)
    assert.ok(pieces.every((piece) => !piece.includes('\uFFFD')))
  })

  it('behavior: characters cut in the middle are shown broken at the end only', async () => {
    const model = await open()
    const decoder = model.createDecoder()
    const ids = model.encodeText('🦊')
    const pieces = ids.slice(0, -1).map((id) => decoder.push(id))
    assert.equal(pieces.join(''), '')
    assert.match(decoder.flush(), /\uFFFD/)
  })

  it('error: a prompt beyond the context, in characters or tokens', async () => {
    const model = await open()
    assert.throws(() => model.encodeText('x'.repeat(1 << 20)), { code: 'COMPUTE_CONTEXT_TOO_LONG' })
    assert.throws(() => model.encodeText('日本'.repeat(400)), { code: 'COMPUTE_CONTEXT_TOO_LONG' })
  })
})
