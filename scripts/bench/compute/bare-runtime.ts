// A process of its own that runs a model on the bare runtime: what the agent is held against. Talks with `bare.ts`.
import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { BareOrder, BareReport } from './bare.ts'

let session: InferenceSession | undefined

process.on('message', (order: BareOrder) => {
  answer(order).then(
    (report) => process.send?.(report),
    (error: unknown) => process.send?.({ problem: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit())

async function answer(order: BareOrder): Promise<BareReport> {
  if (order.kind === 'load') {
    session = await InferenceSession.create(order.onnxFile, {
      executionProviders: [order.executionProvider],
      intraOpNumThreads: order.threads,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    })
    return { runsMs: [], cpuSec: 0 }
  }
  if (session === undefined) throw new Error('nothing is loaded')
  const before = process.cpuUsage()
  const runsMs = order.kind === 'tensors' ? await runTensors(session, order) : await generate(session, order)
  const { user, system } = process.cpuUsage(before)
  return { runsMs, cpuSec: (user + system) / 1e6 }
}

async function runTensors(
  graph: InferenceSession,
  { name, dims, data, runs }: Extract<BareOrder, { kind: 'tensors' }>,
): Promise<number[]> {
  const runsMs: number[] = []
  for (let startMs = performance.now(); runsMs.length < runs; ) {
    await graph.run({ [name]: new Tensor('float32', data, dims) })
    const nowMs = performance.now()
    runsMs.push(nowMs - startMs)
    startMs = nowMs
  }
  return runsMs
}

/** Prefill of one prompt in each row, then the likeliest token of each row, step by step; the cache is handed on as it is. */
async function generate(
  graph: InferenceSession,
  { promptIds, rows, tokens }: Extract<BareOrder, { kind: 'generate' }>,
): Promise<number[]> {
  const startMs = performance.now()
  const caches = graph.inputMetadata.filter(({ name }) => name.startsWith('past_key_values.'))
  const [first] = caches
  const [, heads = 0, , size = 0] = first?.isTensor ? first.shape : []
  let past: InferenceSession.FeedsType = Object.fromEntries(
    caches.map(({ name }) => [
      name,
      new Tensor('float32', new Float32Array(0), [rows, Number(heads), 0, Number(size)]),
    ]),
  )
  let ids: readonly number[][] = Array.from({ length: rows }, () => [...promptIds])
  let seen = 0
  for (let step = 0; step < tokens; step++) {
    const width = ids[0]?.length ?? 0
    const positions = ids.map(() => Array.from({ length: width }, (_, i) => seen + i))
    const mask = ids.map(() => new Array<number>(seen + width).fill(1))
    const outputs = await graph.run({
      input_ids: integers(ids),
      attention_mask: integers(mask),
      ...(graph.inputNames.includes('position_ids') ? { position_ids: integers(positions) } : {}),
      ...past,
    })
    seen += width
    past = Object.fromEntries(
      caches.flatMap(({ name }) => {
        const tensor = outputs[name.replace('past_key_values.', 'present.')]
        return tensor === undefined ? [] : [[name, tensor]]
      }),
    )
    const { logits } = outputs
    if (!(logits?.data instanceof Float32Array)) throw new Error('the graph gives no logits')
    const [, , vocabulary = 0] = logits.dims
    const data = logits.data
    ids = ids.map((_, row) => [likeliest(data, ((row + 1) * width - 1) * vocabulary, vocabulary)])
  }
  return [performance.now() - startMs]
}

function likeliest(data: Float32Array, start: number, length: number): number {
  let best = 0
  for (let i = 1; i < length; i++) if ((data[start + i] ?? 0) > (data[start + best] ?? 0)) best = i
  return best
}

function integers(rows: readonly (readonly number[])[]): Tensor {
  const width = rows[0]?.length ?? 0
  const data = BigInt64Array.from(rows.flat(), BigInt)
  return new Tensor('int64', data, [rows.length, width])
}
