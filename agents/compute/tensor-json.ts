import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import {
  TENSOR_ARRAYS,
  TENSOR_TYPES,
  type Tensor,
  type TensorData,
  type TensorType,
} from '../../sdk/protocol/tensor.ts'
import { boundedList, boundedRecord } from './bounded-list.ts'
import type { TensorSpec, Tensors } from './worker/messages.ts'

const tensorSchema = z.strictObject({
  type: z.enum(TENSOR_TYPES, `one of ${TENSOR_TYPES.join(', ')}`).optional(),
  dims: boundedList(z.number().int().nonnegative(), 16),
  /** Numbers in row-major order (64-bit ones also as decimal texts), or base64 of their bytes, little-endian. */
  data: z.custom<string | readonly unknown[]>(
    (value) => typeof value === 'string' || Array.isArray(value),
    'a list, or base64',
  ),
})

/** Body of /v1/proxy/infer. */
export const inferSchema = z.strictObject({
  model: z.string().max(256).optional(),
  inputs: boundedRecord(tensorSchema, 64),
  /** How the outputs' data comes: a list of numbers, or base64. */
  encoding: z.enum(['json', 'base64'], 'json or base64').default('json'),
})

export type InferBody = z.output<typeof inferSchema>

const RANGES: Partial<Record<TensorType, readonly [bigint, bigint]>> = {
  int8: [-(2n ** 7n), 2n ** 7n - 1n],
  uint8: [0n, 2n ** 8n - 1n],
  int16: [-(2n ** 15n), 2n ** 15n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  bool: [0n, 1n],
}

/**
 * Reads the tensors of a request and holds them against what the graph takes: names, types, dimensions, count, finite
 * numbers. Errors: COMPUTE_INPUT_INVALID that names the input.
 */
export function readTensors(inputs: InferBody['inputs'], specs: readonly TensorSpec[]): Tensors {
  const wanted = new Set(specs.map(({ name }) => name))
  const foreign = Object.keys(inputs).find((name) => !wanted.has(name))
  if (foreign !== undefined)
    throw invalid(foreign, `is not an input of the model, which takes ${[...wanted].join(', ')}`)
  const tensors = specs.map((spec) => [spec.name, readTensor(spec, inputs[spec.name])] as const)
  checkNamedSizes(specs, Object.fromEntries(tensors))
  return Object.fromEntries(tensors)
}

/** A size with a name is one size: a runtime that stretches one row over many of another input would work for more than is billed. */
function checkNamedSizes(specs: readonly TensorSpec[], tensors: Tensors): void {
  const sizes = new Map<string, number>()
  for (const { name, dims } of specs)
    for (const [i, named] of dims.entries()) {
      const size = tensors[name]?.dims[i]
      if (typeof named !== 'string' || named === '' || size === undefined) continue
      const known = sizes.get(named) ?? size
      if (known !== size) throw invalid(name, `has ${size} as its ${named}, which is ${known} elsewhere`)
      sizes.set(named, size)
    }
}

/** Rows of a request: the first dimension of its first input, at least 1. */
export function rowsOf(tensors: Tensors): number {
  return Math.max(1, Object.values(tensors)[0]?.dims[0] ?? 1)
}

/** Tensors as a response carries them. */
export function writeTensors(tensors: Tensors, encoding: InferBody['encoding']): Record<string, object> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { type, dims, data }]) => [
      name,
      { type, dims, data: encoding === 'base64' ? toBase64(data) : toList(data) },
    ]),
  )
}

function readTensor(spec: TensorSpec, given: InferBody['inputs'][string] | undefined): Tensor {
  const { name } = spec
  if (given === undefined) throw invalid(name, 'is missing')
  const type = TENSOR_TYPES.find((known) => known === spec.type)
  if (type === undefined) throw invalid(name, `is of the type ${spec.type}, which does not travel in JSON`)
  if (given.type !== undefined && given.type !== type)
    throw invalid(name, `is ${given.type}, the model takes ${type}`)
  const { dims } = given
  const fits =
    dims.length === spec.dims.length &&
    dims.every((size, i) => typeof spec.dims[i] === 'string' || spec.dims[i] === size)
  if (!fits) throw invalid(name, `has the shape [${dims}], the model takes [${spec.dims}]`)
  const count = dims.reduce((product, size) => product * size, 1)
  if (count === 0) throw invalid(name, 'has no elements')
  const data =
    typeof given.data === 'string' ? fromBase64(name, type, given.data) : fromList(name, type, given.data)
  if (data.length !== count)
    throw invalid(name, `has ${data.length} elements, its shape [${dims}] says ${count}`)
  const isFloat = data instanceof Float32Array || data instanceof Float64Array
  if (isFloat && !data.every(Number.isFinite)) throw invalid(name, 'holds a number that is not finite')
  return { type, dims, data }
}

function fromList(name: string, type: TensorType, list: readonly unknown[]): TensorData {
  if (type === 'float32' || type === 'float64') {
    const values = new TENSOR_ARRAYS[type](list.length)
    list.forEach((item, i) => {
      if (typeof item !== 'number') throw invalid(name, `holds ${shown(item)} where a number belongs`)
      values[i] = item
    })
    return values
  }
  const [least, most] = RANGES[type] ?? [0n, 0n]
  const integers = list.map((item) => {
    const value = wholeOf(item)
    if (value === undefined || value < least || value > most)
      throw invalid(name, `holds ${shown(item)}, which is no ${type}`)
    return value
  })
  if (type === 'int64' || type === 'uint64') return new TENSOR_ARRAYS[type](integers)
  return new TENSOR_ARRAYS[type](integers.map(Number))
}

function wholeOf(item: unknown): bigint | undefined {
  switch (typeof item) {
    case 'boolean':
      return item ? 1n : 0n
    case 'number':
      return Number.isInteger(item) ? BigInt(item) : undefined
    case 'string':
      return /^-?\d{1,20}$/.test(item) ? BigInt(item) : undefined
    default:
      return undefined
  }
}

/** What was sent, short enough for a message. */
function shown(item: unknown): string {
  return typeof item === 'object' && item !== null ? 'an object' : (JSON.stringify(item)?.slice(0, 64) ?? '')
}

function fromBase64(name: string, type: TensorType, text: string): TensorData {
  const bytes = Buffer.from(text, 'base64')
  const size = TENSOR_ARRAYS[type].BYTES_PER_ELEMENT
  // The decoder passes over what is not base64, and gives fewer bytes than the text has room for.
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const isWhole = bytes.length === Math.floor((text.length * 3) / 4) - padding
  if (!isWhole || bytes.length % size !== 0)
    throw invalid(name, `holds data that is not base64 of ${type} elements`)
  // A copy of its own: views of 64-bit numbers need an offset that small buffers of the pool do not have.
  const own = new Uint8Array(bytes).buffer
  return new TENSOR_ARRAYS[type](own)
}

function toList(data: TensorData): (number | string)[] {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, String)
  // JSON has no infinities: they travel by name.
  return Array.from(data, (value) => (Number.isFinite(value) ? value : String(value)))
}

function toBase64(data: TensorData): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
}

function invalid(name: string, problem: string): ZerogError {
  return new ZerogError('COMPUTE_INPUT_INVALID', `the input ${name} ${problem}`, {
    meta: { param: `inputs.${name}` },
  })
}
