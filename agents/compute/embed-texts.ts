import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Tensor } from '../../sdk/protocol/tensor.ts'
import type { Tensors } from './worker/messages.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Tokens that one run takes, those that fill up the shorter rows among them. */
const RUN_TOKENS = 4096

/**
 * One unit vector per row of tokens. Rows of about the same length run together: one long text must not make many short ones
 * as dear for the machine as itself. Errors: COMPUTE_UNAVAILABLE, COMPUTE_INPUT_INVALID, ABORTED.
 */
export async function embedTexts(
  worker: WorkerProcess,
  rows: readonly (readonly number[])[],
  signal: AbortSignal,
): Promise<Float32Array[]> {
  const vectors: Float32Array[] = []
  for (const group of groupsOf(rows)) {
    const ids = group.map((row) => rows[row] ?? [])
    const found = await embedTogether(worker, ids, signal)
    for (const [i, row] of group.entries()) vectors[row] = found[i] ?? new Float32Array(0)
  }
  return vectors
}

/** Numbers of rows, in their order while they fit into one run, else by length. */
function groupsOf(rows: readonly (readonly number[])[]): number[][] {
  const lengthOf = (row: number) => Math.max(1, rows[row]?.length ?? 0)
  const numbers = rows.map((_, row) => row)
  const width = Math.max(...numbers.map(lengthOf))
  if (rows.length * width <= RUN_TOKENS) return [numbers]
  const groups: number[][] = []
  for (const row of numbers.sort((a, b) => lengthOf(a) - lengthOf(b))) {
    const group = groups.at(-1)
    if (group && (group.length + 1) * lengthOf(row) <= RUN_TOKENS) group.push(row)
    else groups.push([row])
  }
  return groups
}

/**
 * One unit vector per row: the graph's `sentence_embedding`, else the normalised mean of `last_hidden_state`.
 * Errors: COMPUTE_UNAVAILABLE, COMPUTE_INPUT_INVALID, ABORTED.
 */
async function embedTogether(
  worker: WorkerProcess,
  rows: readonly (readonly number[])[],
  signal: AbortSignal,
): Promise<Float32Array[]> {
  const width = Math.max(1, ...rows.map(({ length }) => length))
  const table = (value: (ids: readonly number[], i: number) => number): Tensor => {
    const data = new BigInt64Array(rows.length * width)
    rows.forEach((ids, row) => {
      for (let i = 0; i < width; i++) data[row * width + i] = BigInt(value(ids, i))
    })
    return { type: 'int64', dims: [rows.length, width], data }
  }
  const given: Tensors = {
    input_ids: table((ids, i) => ids[i] ?? 0),
    attention_mask: table((ids, i) => (i < ids.length ? 1 : 0)),
    token_type_ids: table(() => 0),
    position_ids: table((_, i) => i),
  }
  const names = worker.graph.inputs.map(({ name }) => name)
  const inputs = Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)))
  const outputs = await worker.run(inputs, signal)
  const sentences = outputs.sentence_embedding
  if (sentences?.data instanceof Float32Array) {
    const { data } = sentences
    const size = data.length / rows.length
    return rows.map((_, row) => data.slice(row * size, (row + 1) * size))
  }
  const hidden = outputs.last_hidden_state
  if (!(hidden?.data instanceof Float32Array))
    throw new ZerogError('COMPUTE_MODEL_INVALID', 'the model gives no embeddings in float32')
  const { data } = hidden
  const size = data.length / (rows.length * width)
  return rows.map(({ length }, row) => meanOf(data, { start: row * width * size, length, size }))
}

function meanOf(
  data: Float32Array,
  { start, length, size }: { start: number; length: number; size: number },
): Float32Array {
  const sum = new Float64Array(size)
  for (let token = 0; token < length; token++)
    for (let i = 0; i < size; i++) sum[i] = (sum[i] ?? 0) + (data[start + token * size + i] ?? 0)
  const norm = Math.sqrt(sum.reduce((total, value) => total + value * value, 0)) || 1
  return Float32Array.from(sum, (value) => value / norm)
}
