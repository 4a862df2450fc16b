import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Tokenizer } from '@huggingface/tokenizers'
import { Tensor } from 'onnxruntime-node'
import { floats, openModel, PRECISIONS, type Precision, readModelJson } from './model-folder.ts'

const { triples } = readModelJson<{ triples: [string, string, string][] }>('embed', 'heldout.json')
const WIDTH = 128

async function openEmbed(precision: Precision) {
  const session = await openModel('embed', precision)
  const settings = readModelJson<object>('embed', 'tokenizer_config.json')
  const tokenizer = new Tokenizer(readModelJson<object>('embed', 'tokenizer.json'), settings)

  async function run(texts: string[]) {
    const rows = texts.map((text) => tokenizer.encode(text).ids)
    const width = Math.max(...rows.map((ids) => ids.length))
    const padded = (value: (ids: number[], i: number) => number) =>
      new Tensor(
        'int64',
        BigInt64Array.from(
          rows.flatMap((ids) => Array.from({ length: width }, (_, i) => BigInt(value(ids, i)))),
        ),
        [rows.length, width],
      )
    const outputs = await session.run({
      input_ids: padded((ids, i) => ids[i] ?? 0),
      attention_mask: padded((ids, i) => (i < ids.length ? 1 : 0)),
    })
    return { outputs, lengths: rows.map((ids) => ids.length), width }
  }

  async function embed(texts: string[]): Promise<Float32Array[]> {
    const values = floats((await run(texts)).outputs, 'sentence_embedding')
    return texts.map((_, i) => values.slice(i * WIDTH, (i + 1) * WIDTH))
  }

  return { run, embed }
}

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
