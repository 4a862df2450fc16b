/** Element types of tensors that travel between clients, agents and their models, with the arrays that hold them. */
export const TENSOR_ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const

export type TensorType = keyof typeof TENSOR_ARRAYS
export type TensorData = InstanceType<(typeof TENSOR_ARRAYS)[TensorType]>

export const TENSOR_TYPES = Object.keys(TENSOR_ARRAYS) as readonly TensorType[]

/** A tensor in row-major order; the first dimension counts rows. */
export type Tensor = {
  readonly type: TensorType
  readonly dims: readonly number[]
  readonly data: TensorData
}
