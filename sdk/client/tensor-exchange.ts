import { decodeBase64, encodeBase64 } from 'ethers'
import { ZerogError } from '../protocol/errors.ts'
import { TENSOR_ARRAYS, TENSOR_TYPES, type Tensor, type TensorType } from '../protocol/tensor.ts'
import type { Content, NetworkRequest } from './ask-network.ts'
import { jsonObject, type ProviderAnswer, wholeBody } from './ask-provider.ts'
import type { EmbedRequest, EmbedResult, InferRequest, InferResult, StreamPiece } from './inference-api.ts'
import { idOf, modelOf, usageOf } from './text-exchange.ts'

type Vectors = Pick<EmbedResult, 'vectors'>
type Outputs = Pick<InferResult, 'outputs'>

const MAX_BYTES = 256 * 1024 * 1024
/** Tokens that a tokenizer may put around one text. */
const FRAME_TOKENS = 16
/** A request for embeddings. Throws BAD_REQUEST. */
export function embedRequest({ model, input }: EmbedRequest): NetworkRequest<Vectors> {
  const texts = typeof input === 'string' ? [input] : [...input]
  if (texts.length === 0 || texts.some((text) => typeof text !== 'string' || text === ''))
    throw new ZerogError('BAD_REQUEST', 'the input is one text or more, none of them empty', {
      meta: { param: 'input' },
    })
  const body = encode({ model, input: texts, encoding_format: 'base64' })
  return {
    ...{ model, kind: 'embedding', path: '/v1/proxy/embeddings', body, maxBytes: MAX_BYTES },
    bound: { inputUnits: body.length + FRAME_TOKENS * texts.length, outputUnits: 0 },
    read: (answer) => readVectors(answer, texts.length),
  }
}

/** A request with tensors; one unit is a row, the first dimension. Throws COMPUTE_INPUT_INVALID. */
export function inferRequest({ model, inputs }: InferRequest): NetworkRequest<Outputs> {
  const tensors = Object.entries(inputs).map(([name, tensor]) => [name, plain(name, tensor)])
  const rows = Math.max(1, ...Object.values(inputs).map(({ dims }) => dims[0] ?? 1))
  const body = encode({ model, inputs: Object.fromEntries(tensors), encoding: 'base64' })
  return {
    ...{ model, kind: 'tensor', path: '/v1/proxy/infer', body, maxBytes: MAX_BYTES },
    bound: { inputUnits: rows, outputUnits: rows },
    read: readOutputs,
  }
}

async function* readVectors(
  answer: ProviderAnswer,
  count: number,
): AsyncGenerator<StreamPiece, Content<Vectors>> {
  const body = await bodyOf(answer)
  const data = Array.isArray(body.data) ? body.data : []
  const vectors = data.map((one: { embedding?: unknown }) => {
    if (typeof one?.embedding !== 'string') throw malformed('the answer holds no vectors')
    return numbers('float32', one.embedding) as Float32Array
  })
  if (vectors.length !== count) throw malformed(`the answer holds ${vectors.length} vectors, not ${count}`)
  return { value: { vectors }, usage: usageOf(body), model: modelOf(body), id: idOf(body) }
}

async function* readOutputs(answer: ProviderAnswer): AsyncGenerator<StreamPiece, Content<Outputs>> {
  const body = await bodyOf(answer)
  const { outputs, usage } = body
  if (typeof outputs !== 'object' || outputs === null) throw malformed('the answer holds no tensors')
  const tensors = Object.entries(outputs).map(([name, value]) => [name, tensorOf(name, value)])
  const { input_units: inputUnits, output_units: outputUnits } = (usage ?? {}) as Record<string, unknown>
  const isCounted = typeof inputUnits === 'number' && typeof outputUnits === 'number'
  return {
    value: { outputs: Object.fromEntries(tensors) },
    usage: isCounted ? { inputUnits, outputUnits } : undefined,
    model: modelOf(body),
    id: idOf(body),
  }
}

function tensorOf(name: string, value: unknown): Tensor {
  const { type, dims, data } = (value ?? {}) as Record<string, unknown>
  const known = TENSOR_TYPES.find((one) => one === type)
  if (
    known === undefined ||
    typeof data !== 'string' ||
    !Array.isArray(dims) ||
    !dims.every(Number.isSafeInteger)
  )
    throw malformed(`the output ${name} is no tensor`)
  const tensor = { type: known, dims: dims as number[], data: numbers(known, data) }
  if (tensor.data.length !== sizeOf(tensor.dims))
    throw malformed(`the output ${name} has not the elements that its shape says`)
  return tensor
}

function plain(name: string, { type, dims, data }: Tensor) {
  if (!Object.hasOwn(TENSOR_ARRAYS, type) || data.length !== sizeOf(dims))
    throw new ZerogError(
      'COMPUTE_INPUT_INVALID',
      `${name} has ${data.length} elements for the shape [${dims}]`,
      {
        meta: { param: `inputs.${name}` },
      },
    )
  return { type, dims, data: encodeBase64(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) }
}

function numbers(type: TensorType, base64: string): Tensor['data'] {
  let bytes: Uint8Array
  try {
    bytes = decodeBase64(base64)
  } catch (cause) {
    throw new ZerogError('PEER_MISBEHAVED', 'the answer holds data that is not base64', { cause })
  }
  const Elements = TENSOR_ARRAYS[type]
  if (bytes.length % Elements.BYTES_PER_ELEMENT !== 0) throw malformed('the answer holds half an element')
  // A copy of its own: views of larger elements need an aligned offset.
  return new Elements(new Uint8Array(bytes).buffer)
}

function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1)
}

async function bodyOf(answer: ProviderAnswer): Promise<Record<string, unknown>> {
  const body = jsonObject(new TextDecoder().decode(await wholeBody(answer)))
  if (body === undefined) throw malformed('the answer is not JSON')
  return body
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function malformed(message: string): ZerogError {
  return new ZerogError('PEER_MISBEHAVED', message)
}
