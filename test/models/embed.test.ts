import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { floats, PRECISIONS, readModelJson } from './model-folder.ts'
import { openEmbed, WIDTH } from './open-embed.ts'

const { triples } = readModelJson<{ triples: [string, string, string][] }>('embed', 'heldout.json')
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)

describe('embed', () => {
  for (const precision of PRECISIONS) {
    it(`${precision} ranks a paraphrase above a stranger`, async () => {
      const { embed } = await openEmbed(precision)
      const vectors = await embed(triples.flat())
      const right = triples.filter((_, i) => {
        const [anchor, paraphrase, stranger] = vectors.slice(3 * i, 3 * i + 3)
        return anchor && paraphrase && stranger && dot(anchor, paraphrase) > dot(anchor, stranger)
      }).length
      assert.ok(right >= 0.85 * triples.length, `${right} of ${triples.length}`)
    })

    it(`${precision} gives unit vectors, the normalised mean of its hidden states`, async () => {
      const { run } = await openEmbed(precision)
      const { outputs, lengths, width } = await run(['a boat', 'a large building where goods are made', ''])
      const hidden = floats(outputs, 'last_hidden_state')
      const vectors = floats(outputs, 'sentence_embedding')
      lengths.forEach((length, row) => {
        const mean = new Float32Array(WIDTH)
        for (let t = 0; t < length; t++)
          for (let i = 0; i < WIDTH; i++)
            mean[i] = (mean[i] ?? 0) + (hidden[(row * width + t) * WIDTH + i] ?? 0)
        const norm = Math.sqrt(dot(mean, mean))
        const vector = vectors.slice(row * WIDTH, (row + 1) * WIDTH)
        assert.ok(Math.abs(dot(vector, vector) - 1) < 1e-5)
        assert.ok(Math.abs(dot(vector, mean) / norm - 1) < 1e-5)
      })
    })

    it(`${precision} gives a text the same vector alone and beside a longer one`, async () => {
      const { embed } = await openEmbed(precision)
      const [alone] = await embed(['a small river'])
      const [beside] = await embed(['a small river', triples.flat().join(' ').slice(0, 300)])
      assert.ok(alone && beside && dot(alone, beside) > 0.9999)
    })
  }
})
