import { type InferenceSession, Tensor } from 'onnxruntime-node'

/** Keys and values of a batch: tensors [rows, heads, width, size] by input name; a row's last `length` columns are its own. */
export type KvCache = {
  readonly tensors: InferenceSession.FeedsType
  readonly width: number
}

/** One row of a cache and how many of its columns count. */
export type CacheRow = { readonly cache: KvCache; readonly row: number; readonly length: number }

/** How a decoder's graph names and shapes its cache. */
export type CacheShape = { readonly names: readonly string[]; readonly heads: number; readonly size: number }

const PAST = 'past_key_values.'

/**
 * Reads the cache's shape from a graph in the usual layout (past_key_values.N.key and .value in, present.N.* out);
 * undefined for graphs without one. Throws when the cache is of a kind this agent does not keep.
 */
export function cacheShapeOf(session: InferenceSession): CacheShape | undefined {
  const inputs = session.inputMetadata.filter(({ name }) => name.startsWith(PAST))
  const [first] = inputs
  if (first === undefined) return undefined
  for (const input of inputs) {
    if (!input.isTensor || input.type !== 'float32')
      throw new Error(`the cache ${input.name} is not float32, which is all that this agent keeps`)
  }
  const [, heads, , size] = first.isTensor ? first.shape : []
  if (typeof heads !== 'number' || typeof size !== 'number')
    throw new Error(`the cache ${first.name} does not fix its heads and their size`)
  return { names: inputs.map(({ name }) => name), heads, size }
}

/** The cache of rows that have seen nothing. */
export function emptyCache({ names, heads, size }: CacheShape, rows: number): KvCache {
  const empty = () => new Tensor('float32', new Float32Array(0), [rows, heads, 0, size])
  return { tensors: Object.fromEntries(names.map((name) => [name, empty()])), width: 0 }
}

/** The cache that a run hands on, without a copy. */
export function presentCache(
  { names }: CacheShape,
  outputs: InferenceSession.ReturnType,
  width: number,
): KvCache {
  const tensors = names.map((name) => {
    const tensor = outputs[name.replace(PAST, 'present.')]
    if (tensor === undefined) throw new Error(`the graph gives no ${name.replace(PAST, 'present.')}`)
    return [name, tensor] as const
  })
  return { tensors: Object.fromEntries(tensors), width }
}

/** A new cache of the given rows, as narrow as the longest of them; what is left of shorter ones is zeros. */
export function gatherRows({ names, heads, size }: CacheShape, rows: readonly CacheRow[]): KvCache {
  const width = Math.max(0, ...rows.map(({ length }) => length))
  const tensors = names.map((name) => {
    const data = new Float32Array(rows.length * heads * width * size)
    rows.forEach(({ cache, row, length }, target) => {
      const source = cache.tensors[name]?.data
      if (!(source instanceof Float32Array)) throw new Error(`the cache ${name} is not float32`)
      for (let head = 0; head < heads; head++) {
        const end = (row * heads + head + 1) * cache.width * size
        const targetEnd = (target * heads + head + 1) * width * size
        data.set(source.subarray(end - length * size, end), targetEnd - length * size)
      }
    })
    return [name, new Tensor('float32', data, [rows.length, heads, width, size])] as const
  })
  return { tensors: Object.fromEntries(tensors), width }
}
