import { type InferenceSession, Tensor } from 'onnxruntime-node'
import {
  type CacheRow,
  type CacheShape,
  emptyCache,
  gatherRows,
  type KvCache,
  presentCache,
} from './kv-cache.ts'
import type { GenerateJob, TokenStep } from './messages.ts'
import { sampleToken } from './sample-token.ts'
import { createTurns } from './turns.ts'

export declare namespace createGenerator {
  type Options = {
    session: InferenceSession
    cache: CacheShape
    /** Sequences in one batch. */
    maxSequences: number
    onSteps: (steps: TokenStep[]) => void
    onFailed: (id: number, error: unknown) => void
  }
}

/** Generates many texts at once. */
export type Generator = {
  add(job: GenerateJob): void
  /** Its tokens end; the row is freed at the next chance. */
  cancel(id: number): void
  isIdle(): boolean
  /** Runs the graph once: a prefill when somebody waits and there is room, else one token of everybody. */
  step(): Promise<void>
}

/** A running text. `length` counts the tokens in the cache. */
type Sequence = {
  readonly job: GenerateJob
  length: number
  last: number
  produced: number
  isOver: boolean
}

/** Tokens of one prefill together: newcomers must not hold up the others for long. */
const PREFILL_TOKENS = 2048
/** Rows of ended texts are computed on up to this share of the batch before the cache is packed anew. */
const MAX_DEAD_SHARE = 0.25

/**
 * Continuous batching over a decoder with a key-value cache: newcomers are prefilled together, padded on the left, and
 * join the running batch; who ends leaves it. The outputs of a step are the inputs of the next one without a copy; the
 * cache is copied only when rows come or many have gone.
 */
export function createGenerator(options: createGenerator.Options): Generator {
  const { session, cache: shape, maxSequences, onSteps, onFailed } = options
  const waiting = createTurns<GenerateJob>()
  const takesPositions = session.inputNames.includes('position_ids')
  let rows: Sequence[] = []
  let cache: KvCache = emptyCache(shape, 0)

  const living = () => rows.filter(({ isOver }) => !isOver)

  async function run(
    inputs: { ids: number[][]; pads: number[]; positions: number[][] },
    past: KvCache,
  ): Promise<{ logits: Tensor; present: KvCache }> {
    const width = past.width + (inputs.ids[0]?.length ?? 0)
    const outputs = await session.run({
      input_ids: integers(inputs.ids),
      attention_mask: maskOf(inputs.pads, width),
      ...(takesPositions ? { position_ids: integers(inputs.positions) } : {}),
      ...past.tensors,
    })
    const { logits } = outputs
    if (logits === undefined || !(logits.data instanceof Float32Array))
      throw new Error('the graph gives no logits in float32')
    return { logits, present: presentCache(shape, outputs, width) }
  }

  /** Chooses the next token of every row from the last position of its logits. */
  function choose(sequences: readonly Sequence[], logits: Tensor): void {
    const [, positions = 1, vocabulary = 0] = logits.dims
    const steps: TokenStep[] = []
    sequences.forEach((sequence, row) => {
      if (sequence.isOver) return
      const { job } = sequence
      const start = ((row + 1) * positions - 1) * vocabulary
      const picked = { data: logits.data as Float32Array, start, length: vocabulary }
      const token = sampleToken(picked, job.sampling, sequence.produced)
      sequence.last = token
      sequence.produced++
      const isEnd = job.endIds.includes(token)
      const isFull = sequence.produced >= job.maxTokens
      sequence.isOver = isEnd || isFull
      const end = isEnd ? 'stop' : 'length'
      steps.push({ id: job.id, token, ...(sequence.isOver ? { end } : {}) })
    })
    onSteps(steps)
  }

  /** Those who come next: of users with the fewest rows first. */
  function takeNewcomers(room: number): GenerateJob[] {
    if (room <= 0 || waiting.size() === 0) return []
    const held = new Map<string, number>()
    for (const { job } of living()) held.set(job.user, (held.get(job.user) ?? 0) + 1)
    const taken: GenerateJob[] = []
    let width = 0
    while (taken.length < room) {
      const next = waiting.next(held)
      if (next === undefined) break
      width = Math.max(width, next.promptIds.length)
      if (taken.length > 0 && width * (taken.length + 1) > PREFILL_TOKENS) break
      waiting.take(next)
      taken.push(next)
      held.set(next.user, (held.get(next.user) ?? 0) + 1)
    }
    return taken
  }

  async function prefill(jobs: readonly GenerateJob[]): Promise<void> {
    const width = Math.max(...jobs.map(({ promptIds }) => promptIds.length))
    const padded = ({ promptIds }: GenerateJob, value: (at: number) => number) => {
      const pad = width - promptIds.length
      return Array.from({ length: width }, (_, i) => (i < pad ? 0 : value(i - pad)))
    }
    const inputs = {
      ids: jobs.map((job) => padded(job, (at) => job.promptIds[at] ?? 0)),
      pads: jobs.map(({ promptIds }) => width - promptIds.length),
      positions: jobs.map((job) => padded(job, (at) => at)),
    }
    let result: Awaited<ReturnType<typeof run>>
    try {
      result = await run(inputs, emptyCache(shape, jobs.length))
    } catch (error) {
      for (const { id } of jobs) onFailed(id, error)
      return
    }
    const added = jobs.map(
      (job): Sequence => ({
        ...{ job, length: job.promptIds.length, last: 0, produced: 0, isOver: false },
      }),
    )
    choose(added, result.logits)
    pack([...kept(rows, cache), ...kept(added, result.present)])
  }

  function pack(sources: readonly (CacheRow & { sequence: Sequence })[]): void {
    rows = sources.map(({ sequence }) => sequence)
    cache = gatherRows(shape, sources)
  }

  async function decode(): Promise<void> {
    const positions = rows.map(({ length }) => [length])
    const pads = rows.map(({ length }) => cache.width - length)
    const batch = rows
    try {
      const result = await run({ ids: batch.map(({ last }) => [last]), pads, positions }, cache)
      cache = result.present
      for (const sequence of batch) sequence.length++
      choose(batch, result.logits)
    } catch (error) {
      for (const { job, isOver } of batch) if (!isOver) onFailed(job.id, error)
      rows = []
      cache = emptyCache(shape, 0)
    }
  }

  return {
    add: waiting.add,

    cancel(id) {
      waiting.remove(id)
      for (const sequence of rows) if (sequence.job.id === id) sequence.isOver = true
    },

    isIdle: () => waiting.size() === 0 && living().length === 0,

    async step() {
      const alive = living().length
      const newcomers = takeNewcomers(maxSequences - alive)
      if (newcomers.length > 0) return prefill(newcomers)
      if (alive === 0) return pack([])
      if (rows.length - alive > rows.length * MAX_DEAD_SHARE) pack(kept(rows, cache))
      await decode()
    },
  }
}

function kept(sequences: readonly Sequence[], cache: KvCache): (CacheRow & { sequence: Sequence })[] {
  return sequences.flatMap((sequence, row) =>
    sequence.isOver ? [] : [{ sequence, cache, row, length: sequence.length }],
  )
}

/** Ones, but for the first `pads[r]` places of row r. Filled, not built: it is as wide as the texts are long, at every step. */
function maskOf(pads: readonly number[], width: number): Tensor {
  const data = new BigInt64Array(pads.length * width).fill(1n)
  pads.forEach((pad, r) => void data.fill(0n, r * width, r * width + pad))
  return new Tensor('int64', data, [pads.length, width])
}

function integers(rows: readonly (readonly number[])[]): Tensor {
  const width = rows[0]?.length ?? 0
  const data = new BigInt64Array(rows.length * width)
  rows.forEach((row, r) => {
    for (let i = 0; i < width; i++) data[r * width + i] = BigInt(row[i] ?? 0)
  })
  return new Tensor('int64', data, [rows.length, width])
}
