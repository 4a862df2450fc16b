import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { Tensor as PlainTensor, TensorData } from '../../../sdk/protocol/tensor.ts'
import type { Tensors } from './messages.ts'

type TensorRun = { readonly id: number; readonly inputs: Tensors }

export declare namespace createTensorRuns {
  type Options = {
    session: InferenceSession
    /** Rows that runs of one shape are put together to. */
    maxRows: number
    onResult: (id: number, outputs: Tensors) => void
    onFailed: (id: number, error: unknown) => void
  }
}

/** Runs a graph on whole tensors. */
export type TensorRuns = {
  add(run: TensorRun): void
  cancel(id: number): void
  isIdle(): boolean
  /** Runs the oldest, together with others of its shape when the graph's first dimension is free everywhere. */
  step(): Promise<void>
}

export function createTensorRuns({
  session,
  maxRows,
  onResult,
  onFailed,
}: createTensorRuns.Options): TensorRuns {
  let waiting: TensorRun[] = []
  const isBatched = hasBatch([...session.inputMetadata, ...session.outputMetadata])

  function takeBatch(): TensorRun[] {
    const [first] = waiting
    if (first === undefined) return []
    const batch = [first]
    let rows = rowsOf(first)
    for (const run of isBatched && isEven(first) ? waiting.slice(1) : []) {
      if (rows + rowsOf(run) > maxRows) break
      if (shapeKey(run) !== shapeKey(first)) continue
      batch.push(run)
      rows += rowsOf(run)
    }
    waiting = waiting.filter((run) => !batch.includes(run))
    return batch
  }

  async function runOne(run: TensorRun): Promise<void> {
    try {
      const feeds = Object.entries(run.inputs).map(([name, tensor]) => [name, toTensor(tensor)])
      onResult(run.id, plainOutputs(await session.run(Object.fromEntries(feeds))))
    } catch (error) {
      onFailed(run.id, error)
    }
  }

  async function runTogether(batch: readonly TensorRun[]): Promise<void> {
    const [first] = batch
    if (first === undefined) return
    const feeds = Object.keys(first.inputs).map((name) => [name, toTensor(joinRows(batch, name))])
    const outputs = plainOutputs(await session.run(Object.fromEntries(feeds)))
    const total = batch.reduce((sum, run) => sum + rowsOf(run), 0)
    if (Object.values(outputs).some(({ dims }) => dims[0] !== total))
      throw new Error('the outputs have another number of rows than the inputs')
    let start = 0
    for (const run of batch) {
      const end = start + rowsOf(run)
      const own = Object.entries(outputs).map(([name, tensor]) => [name, sliceRows(tensor, start, end)])
      onResult(run.id, Object.fromEntries(own))
      start = end
    }
  }

  return {
    add: (run) => void waiting.push(run),
    cancel: (id) => {
      waiting = waiting.filter((run) => run.id !== id)
    },
    isIdle: () => waiting.length === 0,
    async step() {
      const batch = takeBatch()
      if (batch.length > 1) {
        try {
          return await runTogether(batch)
        } catch {
          // One bad input must not fail its neighbours: each is run alone and gets its own answer.
        }
      }
      for (const run of batch) await runOne(run)
    },
  }
}

/**
 * Whether the first dimension of all inputs and outputs is one and the same, and named as a batch is. Others may be free too,
 * as the length of a text is: requests joined along that would see each other.
 */
function hasBatch(specs: readonly InferenceSession.ValueMetadata[]): boolean {
  const names = new Set(specs.map((spec) => (spec.isTensor ? spec.shape[0] : undefined)))
  const [name] = names
  return names.size === 1 && typeof name === 'string' && /batch|^[bn]$/i.test(name)
}

function rowsOf({ inputs }: TensorRun): number {
  return Object.values(inputs)[0]?.dims[0] ?? 1
}

/** All inputs have the same number of rows. */
function isEven({ inputs }: TensorRun): boolean {
  return new Set(Object.values(inputs).map(({ dims }) => dims[0])).size === 1
}

function shapeKey({ inputs }: TensorRun): string {
  const rows = Object.values(inputs)[0]?.dims[0]
  return Object.entries(inputs)
    .map(([name, { type, dims }]) => `${name}:${type}:${dims[0] === rows}:${dims.slice(1).join('x')}`)
    .sort()
    .join(',')
}

function toTensor({ type, dims, data }: PlainTensor): Tensor {
  return new Tensor(type, data, dims)
}

function joinRows(batch: readonly TensorRun[], name: string): PlainTensor {
  const parts = batch.flatMap(({ inputs }) => inputs[name] ?? [])
  const [first] = parts
  if (first === undefined) throw new Error(`no input ${name}`)
  const length = parts.reduce((sum, { data }) => sum + data.length, 0)
  const joined = emptyLike(first.data, length)
  let at = 0
  for (const { data } of parts) {
    // Runs of one batch agree in their types.
    joined.set(data as never, at)
    at += data.length
  }
  const rows = parts.reduce((sum, { dims }) => sum + (dims[0] ?? 0), 0)
  return { type: first.type, dims: [rows, ...first.dims.slice(1)], data: joined }
}

function emptyLike(values: TensorData, length: number): TensorData {
  const Values = values.constructor as new (length: number) => TensorData
  return new Values(length)
}

function sliceRows({ type, dims, data }: PlainTensor, start: number, end: number): PlainTensor {
  const width = dims.slice(1).reduce((product, size) => product * size, 1)
  return { type, dims: [end - start, ...dims.slice(1)], data: data.slice(start * width, end * width) }
}

function plainOutputs(outputs: InferenceSession.ReturnType): Tensors {
  const plain = Object.entries(outputs).map(([name, { type, dims, data }]) => {
    if (Array.isArray(data) || type === 'string') throw new Error(`the output ${name} holds texts`)
    return [name, { type, dims, data }]
  })
  return Object.fromEntries(plain)
}
