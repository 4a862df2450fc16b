import { Tokenizer } from '@huggingface/tokenizers'
import { Tensor } from 'onnxruntime-node'
import { floats, openModel, type Precision, readModelJson } from './model-folder.ts'

export const WIDTH = 128

/** The embedding model on the bare runtime. */
export async function openEmbed(precision: Precision) {
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
