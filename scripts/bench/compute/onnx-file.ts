/** Element types by ONNX's numbers. */
export const ONNX_FLOAT = 1
export const ONNX_INT64 = 7
export const ONNX_BOOL = 9

/** A graph as it is written into an ONNX file. */
export type OnnxGraph = {
  readonly name: string
  readonly nodes: readonly OnnxNode[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  readonly weights?: readonly OnnxWeight[]
}

export type OnnxNode = {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, number | readonly number[] | OnnxGraph>>
}

/** A dimension that is free carries its name. */
export type OnnxValue = {
  readonly name: string
  readonly type: number
  readonly dims: readonly (number | string)[]
}

export type OnnxWeight = {
  readonly name: string
  readonly dims: readonly number[]
  /** A Uint8Array is one of bool. */
  readonly data: Float32Array | BigInt64Array | Uint8Array
}

const IR_VERSION = 8
const OPSET = 17
const ATTRIBUTE_TYPES = { integer: 2, graph: 5, integers: 7 } as const
const WEIGHT_TYPES = {
  Float32Array: ONNX_FLOAT,
  BigInt64Array: ONNX_INT64,
  Uint8Array: ONNX_BOOL,
} as const

/** The bytes of an ONNX file (protocol buffers of onnx.proto, opset 17) with this graph. */
export function onnxFile(graph: OnnxGraph): Buffer {
  return message(
    integer(1, IR_VERSION),
    text(2, 'zerog'),
    nested(7, graphBytes(graph)),
    nested(8, message(text(1, ''), integer(2, OPSET))),
  )
}

function graphBytes({ name, nodes, inputs, outputs, weights = [] }: OnnxGraph): Buffer {
  return message(
    nodes.map((node) => nested(1, nodeBytes(node))),
    text(2, name),
    weights.map((weight) => nested(5, weightBytes(weight))),
    inputs.map((value) => nested(11, valueBytes(value))),
    outputs.map((value) => nested(12, valueBytes(value))),
  )
}

function nodeBytes({ op, inputs, outputs, attributes = {} }: OnnxNode): Buffer {
  return message(
    inputs.map((name) => text(1, name)),
    outputs.map((name) => text(2, name)),
    text(4, op),
    Object.entries(attributes).map(([name, value]) => nested(5, attributeBytes(name, value))),
  )
}

function attributeBytes(name: string, value: number | readonly number[] | OnnxGraph): Buffer {
  if (typeof value === 'number')
    return message(text(1, name), integer(3, value), integer(20, ATTRIBUTE_TYPES.integer))
  if ('nodes' in value)
    return message(text(1, name), nested(6, graphBytes(value)), integer(20, ATTRIBUTE_TYPES.graph))
  return message(
    text(1, name),
    value.map((one) => integer(8, one)),
    integer(20, ATTRIBUTE_TYPES.integers),
  )
}

function weightBytes({ name, dims, data }: OnnxWeight): Buffer {
  const type = WEIGHT_TYPES[data.constructor.name as keyof typeof WEIGHT_TYPES]
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return message(
    dims.map((size) => integer(1, size)),
    integer(2, type),
    text(8, name),
    nested(9, bytes),
  )
}

function valueBytes({ name, type, dims }: OnnxValue): Buffer {
  const sizes = dims.map((size) => (typeof size === 'number' ? integer(1, size) : text(2, size)))
  const shape = message(sizes.map((size) => nested(1, size)))
  const tensor = message(integer(1, type), nested(2, shape))
  return message(text(1, name), nested(2, nested(1, tensor)))
}

function message(...fields: (Buffer | readonly Buffer[])[]): Buffer {
  return Buffer.concat(fields.flat())
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(BigInt(field << 3)), varint(BigInt.asUintN(64, BigInt(value)))])
}

function text(field: number, value: string): Buffer {
  return nested(field, Buffer.from(value))
}

function nested(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(bytes.length)), bytes])
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let left = value
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  bytes.push(Number(left))
  return Buffer.from(bytes)
}
