import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { TENSOR_ARRAYS, TENSOR_TYPES, type Tensor } from '../../sdk/protocol/tensor.ts'
import type { GraphInput } from './graph-inputs.ts'
import { fitImage, readImage } from './image-file.ts'
import { parseNpy } from './npy.ts'

const tensorSchema = z.strictObject({
  dims: z.array(z.number().int().positive()),
  data: z.array(z.union([z.number(), z.string(), z.boolean()])),
  type: z.enum(TENSOR_TYPES).optional(),
})
const inputsSchema = z.strictObject({ inputs: z.record(z.string(), tensorSchema) })

/** Numbers of any kind, with their shape. */
type Values = { readonly dims: readonly number[]; readonly values: readonly (number | bigint)[] }

export declare namespace readTensorFile {
  type Options = { specs: readonly GraphInput[]; input: string | undefined }
}

/**
 * The inputs of a graph from a file, by its extension: .npy, .json, .png, .pgm, .ppm. A missing batch dimension is added.
 *
 * Errors: FILE_MISSING, BAD_REQUEST, COMPUTE_INPUT_INVALID.
 */
export async function readTensorFile(
  file: string,
  { specs, input }: readTensorFile.Options,
): Promise<Record<string, Tensor>> {
  const bytes = await readFile(file).catch((cause) => {
    throw new ZerogError('FILE_MISSING', `${file} cannot be read`, { cause })
  })
  const only = () => {
    const spec = input === undefined ? specs[0] : specs.find(({ name }) => name === input)
    const names = specs.map(({ name }) => name).join(', ')
    if (spec === undefined) throw invalid(`the model takes ${names}, not ${input}`)
    if (input === undefined && specs.length > 1)
      throw invalid(`which input? The model takes ${names}: --input NAME`)
    return spec
  }
  switch (extname(file).toLowerCase()) {
    case '.npy':
      return one(only(), parseNpy(bytes))
    case '.png':
    case '.pgm':
    case '.ppm':
      return one(only(), fitImage(readImage(bytes), only()))
    case '.json': {
      const value = parseJson(file, bytes)
      const named = inputsSchema.safeParse(value)
      if (!named.success) return one(only(), fromJson(value))
      return Object.fromEntries(
        Object.entries(named.data.inputs).map(([name, given]) => {
          const spec = specs.find((known) => known.name === name)
          if (spec === undefined) throw invalid(`the model has no input ${name}`)
          return [name, tensorOf(spec, listed(given))]
        }),
      )
    }
    default:
      throw new ZerogError('BAD_REQUEST', `${file} must end in .npy, .json, .png, .pgm or .ppm`)
  }
}

function one(spec: GraphInput, values: Values): Record<string, Tensor> {
  return { [spec.name]: tensorOf(spec, values) }
}

/** Values as the graph's type, in its shape. */
function tensorOf(spec: GraphInput, { dims, values }: Values): Tensor {
  const shape = shapeFor(spec, dims, values.length)
  const type = spec.type
  if (type === 'int64' || type === 'uint64')
    return { type, dims: shape, data: new TENSOR_ARRAYS[type](values.map((value) => whole(spec, value))) }
  return { type, dims: shape, data: new TENSOR_ARRAYS[type](values.map(Number)) }
}

function whole({ name }: GraphInput, value: number | bigint): bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return BigInt(value)
  throw invalid(`${name} takes whole numbers, not ${value}`)
}

/** The given shape where it fits; else the graph's, with its first free dimension taking the rest. */
function shapeFor({ name, dims: wanted }: GraphInput, given: readonly number[], count: number): number[] {
  const fits =
    given.length === wanted.length &&
    given.every((size, i) => typeof wanted[i] === 'string' || wanted[i] === size)
  if (fits) return [...given]
  const free = wanted.filter((size) => typeof size === 'string').length
  const fixed = wanted.reduce<number>(
    (product, size) => (typeof size === 'number' ? product * size : product),
    1,
  )
  const isBatch = free === 1 && typeof wanted[0] === 'string' && count % fixed === 0 && count > 0
  if (isBatch) return wanted.map((size) => (typeof size === 'string' ? count / fixed : size))
  throw invalid(`${name} takes the shape [${wanted.join(', ')}], the file has [${given.join(', ')}]`)
}

function parseJson(file: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', `${file} is not JSON`, { cause })
  }
}

function fromJson(value: unknown): Values {
  const described = tensorSchema.safeParse(value)
  if (described.success) return listed(described.data)
  const dims: number[] = []
  for (let level = value; Array.isArray(level); level = level[0]) dims.push(level.length)
  const values: (number | bigint)[] = []
  const walk = (level: unknown, depth: number): void => {
    if (depth === dims.length && typeof level === 'number') values.push(level)
    else if (Array.isArray(level) && level.length === dims[depth])
      for (const part of level) walk(part, depth + 1)
    else throw invalid('a nested list must hold numbers, and lists of one length at each level')
  }
  walk(value, 0)
  if (values.length === 0) throw invalid('the file holds no numbers')
  return { dims, values }
}

function listed({ dims, data }: z.output<typeof tensorSchema>): Values {
  const count = dims.reduce((product, size) => product * size, 1)
  if (count !== data.length)
    throw invalid(`the shape [${dims.join(', ')}] needs ${count} values, not ${data.length}`)
  const values = data.map((item) => {
    if (typeof item !== 'string') return Number(item)
    if (/^-?\d{1,20}$/.test(item)) return BigInt(item)
    throw invalid(`"${item}" is no number`)
  })
  return { dims, values }
}

function invalid(message: string): ZerogError {
  return new ZerogError('COMPUTE_INPUT_INVALID', message)
}
