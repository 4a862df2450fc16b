import { ONNX_FLOAT, type OnnxNode, type OnnxWeight, onnxFile } from './onnx-file.ts'

export const CLASSIFIER_INPUT = { name: 'pixel_values', channels: 3, size: 32 } as const
const CLASSES = 10
/** Channels and stride of each convolution: some 7 billion operations an image, about what ResNet-50 takes for a photograph. */
const LAYERS: readonly (readonly [channels: number, stride: number])[] = [
  [128, 1],
  ...new Array<readonly [number, number]>(4).fill([128, 1]),
  [256, 2],
  ...new Array<readonly [number, number]>(18).fill([256, 1]),
]
const KERNEL = 3

/** A convolutional classifier of 32 x 32 images with weights that mean nothing: what it costs is what counts. */
export function classifierFile(): Buffer {
  const nodes: OnnxNode[] = []
  const weights: OnnxWeight[] = []
  const random = randomWeights(7)
  let value: string = CLASSIFIER_INPUT.name
  let channels: number = CLASSIFIER_INPUT.channels
  for (const [i, [next, stride]] of LAYERS.entries()) {
    const [filter, convolved, active] = [`filter${i}`, `convolved${i}`, `active${i}`]
    weights.push(random(filter, [next, channels, KERNEL, KERNEL]))
    const attributes = { kernel_shape: [KERNEL, KERNEL], pads: [1, 1, 1, 1], strides: [stride, stride] }
    nodes.push({ op: 'Conv', inputs: [value, filter], outputs: [convolved], attributes })
    nodes.push({ op: 'Relu', inputs: [convolved], outputs: [active] })
    value = active
    channels = next
  }
  weights.push(random('head', [channels, CLASSES]))
  nodes.push({ op: 'GlobalAveragePool', inputs: [value], outputs: ['pooled'] })
  nodes.push({ op: 'Flatten', inputs: ['pooled'], outputs: ['flat'] })
  nodes.push({ op: 'MatMul', inputs: ['flat', 'head'], outputs: ['logits'] })
  const { name, channels: depth, size } = CLASSIFIER_INPUT
  return onnxFile({
    name: 'classifier',
    ...{ nodes, weights },
    inputs: [{ name, type: ONNX_FLOAT, dims: ['batch', depth, size, size] }],
    outputs: [{ name: 'logits', type: ONNX_FLOAT, dims: ['batch', CLASSES] }],
  })
}

/** Pixels between 0 and 1 that are the same in every run. */
export function pixels(count: number, seed: number): Float32Array {
  const next = uniform(seed)
  return Float32Array.from({ length: count }, next)
}

/** Weights spread so that values neither vanish nor explode on their way. */
export function randomWeights(seed: number): (name: string, dims: readonly number[]) => OnnxWeight {
  const next = uniform(seed)
  return (name, dims) => {
    const count = dims.reduce((product, size) => product * size, 1)
    const [outputs = 1] = dims
    const scale = 2 * Math.sqrt((6 * outputs) / count)
    return { name, dims, data: Float32Array.from({ length: count }, () => (next() - 0.5) * scale) }
  }
}

function uniform(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
