import { randomWeights } from './classifier.ts'
import {
  ONNX_FLOAT,
  ONNX_INT64,
  type OnnxNode,
  type OnnxValue,
  type OnnxWeight,
  onnxFile,
} from './onnx-file.ts'

/** Sizes of a text decoder: 26 million weights with the vocabulary of the chat model that ships. */
const DECODER = { layers: 8, heads: 8, headSize: 64, inner: 2048, vocabulary: 1024, positions: 512 } as const
const WIDTH = DECODER.heads * DECODER.headSize
const FAR = -1e9

/**
 * A pre-norm transformer decoder with learned positions and a key-value cache, its inputs and outputs named as Hugging
 * Face exports are. Its weights mean nothing: what it costs is what counts.
 */
export function decoderFile(): Buffer {
  const nodes: OnnxNode[] = []
  const weights: OnnxWeight[] = []
  const random = randomWeights(11)
  const op = (kind: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}): string => {
    const output = `${kind.toLowerCase()}_${nodes.length}`
    nodes.push({ op: kind, inputs, outputs: [output], attributes })
    return output
  }
  const weight = (name: string, ...dims: number[]): string => {
    weights.push(random(name, dims))
    return name
  }
  const floats = (name: string, values: readonly number[], dims: readonly number[] = []): string => {
    weights.push({ name, dims, data: Float32Array.from(values) })
    return name
  }
  const integers = (name: string, values: readonly number[], dims: readonly number[] = []): string => {
    weights.push({ name, dims, data: BigInt64Array.from(values, BigInt) })
    return name
  }
  const norm = (value: string, name: string): string => {
    const ones = floats(`${name}_scale`, new Array<number>(WIDTH).fill(1), [WIDTH])
    return op('LayerNormalization', [value, ones])
  }

  const [zero, one] = [integers('zero', [0]), integers('one', [1])]
  const [far, unit] = [floats('far', [FAR]), floats('unit', [1])]
  const scale = floats('scale', [1 / Math.sqrt(DECODER.headSize)])
  const toHeads = integers('to_heads', [0, 0, DECODER.heads, DECODER.headSize], [4])
  const fromHeads = integers('from_heads', [0, 0, WIDTH], [3])
  const broadcast = integers('broadcast', [1, 2], [2])
  const column = integers('column', [1], [1])

  // What a position must not see: what comes after it, and the padding of its row.
  const total = op('Gather', [op('Shape', ['attention_mask']), one])
  const past = op('Sub', [total, op('Gather', [op('Shape', ['input_ids']), one])])
  const keys = op('Range', [zero, total, one])
  const queries = op('Unsqueeze', [op('Range', [past, total, one]), column])
  const later = op('Cast', [op('Greater', [keys, queries])], { to: ONNX_FLOAT })
  const mask = op('Cast', [op('Unsqueeze', ['attention_mask', broadcast])], { to: ONNX_FLOAT })
  const hidden = op('Mul', [op('Add', [later, op('Sub', [unit, mask])]), far])

  const split = (value: string): string =>
    op('Transpose', [op('Reshape', [value, toHeads])], { perm: [0, 2, 1, 3] })
  const caches: string[] = []
  let stream = op('Add', [
    op('Gather', [weight('tokens', DECODER.vocabulary, WIDTH), 'input_ids']),
    op('Gather', [weight('places', DECODER.positions, WIDTH), 'position_ids']),
  ])
  for (let layer = 0; layer < DECODER.layers; layer++) {
    const input = norm(stream, `attention_${layer}`)
    const project = (name: string) => split(op('MatMul', [input, weight(`${name}_${layer}`, WIDTH, WIDTH)]))
    const cached = (kind: string, value: string): string => {
      const present = `present.${layer}.${kind}`
      const inputs = [`past_key_values.${layer}.${kind}`, value]
      nodes.push({ op: 'Concat', inputs, outputs: [present], attributes: { axis: 2 } })
      caches.push(`${layer}.${kind}`)
      return present
    }
    const [query, key, value] = [
      project('query'),
      cached('key', project('key')),
      cached('value', project('value')),
    ]
    const scores = op('MatMul', [query, op('Transpose', [key], { perm: [0, 1, 3, 2] })])
    const shares = op('Softmax', [op('Add', [op('Mul', [scores, scale]), hidden])], { axis: 3 })
    const heads = op('Transpose', [op('MatMul', [shares, value])], { perm: [0, 2, 1, 3] })
    const joined = op('MatMul', [op('Reshape', [heads, fromHeads]), weight(`out_${layer}`, WIDTH, WIDTH)])
    stream = op('Add', [stream, joined])
    const wide = op('MatMul', [norm(stream, `inner_${layer}`), weight(`up_${layer}`, WIDTH, DECODER.inner)])
    const narrow = op('MatMul', [op('Relu', [wide]), weight(`down_${layer}`, DECODER.inner, WIDTH)])
    stream = op('Add', [stream, narrow])
  }
  const head = weight('head', WIDTH, DECODER.vocabulary)
  nodes.push({ op: 'MatMul', inputs: [norm(stream, 'last'), head], outputs: ['logits'] })

  const cacheValues = (prefix: string, width: string): OnnxValue[] =>
    caches.map((name) => ({
      ...{ name: `${prefix}.${name}`, type: ONNX_FLOAT },
      dims: ['batch', DECODER.heads, width, DECODER.headSize],
    }))
  return onnxFile({
    name: 'decoder',
    ...{ nodes, weights },
    inputs: [
      { name: 'input_ids', type: ONNX_INT64, dims: ['batch', 'sequence'] },
      { name: 'attention_mask', type: ONNX_INT64, dims: ['batch', 'total'] },
      { name: 'position_ids', type: ONNX_INT64, dims: ['batch', 'sequence'] },
      ...cacheValues('past_key_values', 'past'),
    ],
    outputs: [
      { name: 'logits', type: ONNX_FLOAT, dims: ['batch', 'sequence', DECODER.vocabulary] },
      ...cacheValues('present', 'total'),
    ],
  })
}
