import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionProvider } from '../../../agents/compute/worker/messages.ts'
import { type BenchCase, shortNumber } from '../storage/bench-case.ts'
import { startBare } from './bare.ts'
import type { BenchAgent } from './bench-agent.ts'
import { CLASSIFIER_INPUT, classifierFile, pixels } from './classifier.ts'
import { median } from './median.ts'

type Options = { root: string; folder: string; executionProvider: ExecutionProvider; agent: BenchAgent }

/** A classifier, its batch, and how clients ask for it. */
type Load = {
  readonly name: string
  readonly folder: string
  readonly input: { readonly name: string; readonly dims: readonly number[] }
  /** Rows of the bare runtime's batch, and of one request; the agent puts requests together to such batches. */
  readonly batchRows: number
  readonly requestRows: number
  /** Requests of each client in a round. */
  readonly times: number
  readonly target: number | undefined
}

const ROUNDS = 5
const TARGET = 0.8
/** The bare run of a batch must take this long, so that what is compared is inference. */
const LEAST_BATCH_MS = 20

/** Rows a second through HTTP, batched by the agent, against the bare runtime with the same batch, in turns. */
export async function benchThroughput(options: Options): Promise<BenchCase[]> {
  const folder = join(options.folder, 'classifier')
  mkdirSync(join(folder, 'onnx'), { recursive: true })
  writeFileSync(join(folder, 'onnx/model.onnx'), classifierFile())
  const { name, channels, size } = CLASSIFIER_INPUT
  return [
    await measure(options, {
      ...{ name: 'classifier of 7 billion operations an image', folder, target: TARGET },
      ...{ input: { name, dims: [channels, size, size] }, batchRows: 16, requestRows: 1, times: 4 },
    }),
    await measure(options, {
      ...{ name: 'digits', folder: join(options.root, 'models/digits'), target: undefined },
      ...{ input: { name: 'pixel_values', dims: [1, 8, 8] }, batchRows: 256, requestRows: 32, times: 50 },
    }),
  ]
}

async function measure({ executionProvider, agent }: Options, load: Load): Promise<BenchCase> {
  const { input, batchRows, requestRows, target } = load
  const rowSize = input.dims.reduce((product, size) => product * size, 1)
  const onnxFile = join(load.folder, 'onnx/model.onnx')
  const bare = await startBare({ onnxFile, executionProvider, threads: 0 })
  try {
    await agent.serve({ folder: load.folder, env: { MAX_ROWS: String(batchRows) } })
    const tensors = {
      name: input.name,
      dims: [batchRows, ...input.dims],
      data: pixels(batchRows * rowSize, 1),
    }
    const bytes = Buffer.from(pixels(requestRows * rowSize, 1).buffer).toString('base64')
    const body = Buffer.from(
      JSON.stringify({
        encoding: 'base64',
        inputs: { [input.name]: { type: 'float32', dims: [requestRows, ...input.dims], data: bytes } },
      }),
    )
    // Twice as many as a batch takes: while one batch runs, the next one gathers.
    const clients = (2 * batchRows) / requestRows
    await askAll(agent, { clients, body, times: 1 })
    await bare.tensors({ ...tensors, runs: 2 })
    const bareRows: number[] = []
    const servedRows: number[] = []
    const spent = { bare: [] as number[], agent: [] as number[], worker: [] as number[] }
    let batchMs = Number.POSITIVE_INFINITY
    for (let round = 0; round < ROUNDS; round++) {
      const { runsMs, cpuSec } = await bare.tensors({ ...tensors, runs: 2 * load.times })
      spent.bare.push((1000 * cpuSec) / (batchRows * runsMs.length))
      batchMs = Math.min(batchMs, median(runsMs))
      bareRows.push((1000 * batchRows * runsMs.length) / runsMs.reduce((sum, ms) => sum + ms, 0))
      const before = agent.spentSec()
      const rowsAsked = 2 * batchRows * load.times
      const rows = requestRows * (await askAll(agent, { clients, body, times: load.times }))
      const after = agent.spentSec()
      servedRows.push(rows)
      if (before === undefined || after === undefined) continue
      spent.agent.push((1000 * (after.agent - before.agent)) / rowsAsked)
      spent.worker.push((1000 * (after.worker - before.worker)) / rowsAsked)
    }
    const figure = median(servedRows.map((rows, round) => rows / (bareRows[round] ?? Number.NaN)))
    if (target !== undefined && batchMs < LEAST_BATCH_MS)
      throw new Error(`a bare batch takes ${batchMs} ms here, too little to compare with`)
    const served = median(servedRows)
    const costs = { bare: median(spent.bare), agent: median(spent.agent), worker: median(spent.worker) }
    const reference = median(bareRows)
    return {
      name: `${load.name}, ${requestRows} a request, batches of ${batchRows}`,
      measured: `${shortNumber(served)} rows/s; ${shortNumber(costs.agent)} + ${shortNumber(costs.worker)} ms of processor time a row`,
      reference: `${shortNumber(reference)} rows/s (bare runtime, ${shortNumber(batchMs)} ms a batch); ${shortNumber(costs.bare)} ms of processor time a row`,
      ...{ figure, unit: 'x' },
      target: target === undefined ? '-' : `>= ${target} x`,
      isReached: target === undefined || figure >= target,
      details: {
        servedRows: servedRows.map(shortNumber).join(' '),
        bareRows: bareRows.map(shortNumber).join(' '),
      },
    }
  } finally {
    await bare.stop()
  }
}

/** Clients that ask again as soon as they have their answer, each as often; requests answered in a second. */
async function askAll(
  agent: BenchAgent,
  { clients, body, times }: { clients: number; body: Uint8Array; times: number },
): Promise<number> {
  const startMs = performance.now()
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (let i = 0; i < times; i++) await agent.post('infer', body)
    }),
  )
  return (1000 * clients * times) / (performance.now() - startMs)
}
