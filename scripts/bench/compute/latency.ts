import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionProvider } from '../../../agents/compute/worker/messages.ts'
import { type BenchCase, shortNumber } from '../storage/bench-case.ts'
import { startBare } from './bare.ts'
import type { BenchAgent } from './bench-agent.ts'
import { pixels } from './classifier.ts'
import { median } from './median.ts'

const REQUESTS = 400
const ROUNDS = 5
const SYNCS = 50
const TARGET_MS = 3
/** What SQLite writes of a receipt: two pages of its log, about. */
const SYNC_BYTES = 8192

/**
 * What a request costs beyond its inference when it comes alone: HTTP, key, account, admission, process border, signature,
 * receipt and one synced write. Everything counts, not authentication, receipt and signature alone.
 */
export async function benchLatency(options: {
  root: string
  executionProvider: ExecutionProvider
  agent: BenchAgent
}): Promise<BenchCase> {
  const { root, executionProvider, agent } = options
  const folder = join(root, 'models/digits')
  const onnxFile = join(folder, 'onnx/model.onnx')
  const bare = await startBare({ onnxFile, executionProvider, threads: 0 })
  try {
    await agent.serve({ folder })
    const input = { dims: [1, 1, 8, 8], data: pixels(64, 3) }
    const body = JSON.stringify({ inputs: { pixel_values: { ...input, data: Array.from(input.data) } } })
    for (let i = 0; i < REQUESTS; i++) await agent.post('infer', body)
    const added: number[] = []
    const syncs: number[] = []
    const whole: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const { runsMs } = await bare.tensors({ name: 'pixel_values', ...input, runs: REQUESTS })
      syncs.push(median(await syncedWritesMs(agent.dataDir)))
      const requestsMs: number[] = []
      for (let i = 0; i < REQUESTS; i++) {
        const startMs = performance.now()
        await agent.post('infer', body)
        requestsMs.push(performance.now() - startMs)
      }
      whole.push(median(requestsMs))
      added.push(median(requestsMs) - median(runsMs))
    }
    const syncMs = median(syncs)
    const addedMs = median(added)
    const figure = addedMs - syncMs
    return {
      name: 'added to a request by HTTP, key, receipt and signature, p50',
      measured: `${shortNumber(addedMs)} ms of ${shortNumber(median(whole))} ms`,
      reference: `${shortNumber(syncMs)} ms (one synced write)`,
      ...{ figure, unit: 'ms without it', target: `<= ${TARGET_MS} ms`, isReached: figure <= TARGET_MS },
      details: { addedMs: added.map(shortNumber).join(' '), syncMs: syncs.map(shortNumber).join(' ') },
    }
  } finally {
    await bare.stop()
  }
}

/** Appends to a file beside the agent's database, each time synced as SQLite does. */
async function syncedWritesMs(folder: string): Promise<number[]> {
  const path = join(folder, 'sync.bin')
  const piece = new Uint8Array(SYNC_BYTES).fill(7)
  const handle = await open(path, 'w')
  const times: number[] = []
  try {
    for (let i = 0; i < SYNCS; i++) {
      const startMs = performance.now()
      await handle.write(piece, 0, SYNC_BYTES, i * SYNC_BYTES)
      await handle.datasync()
      times.push(performance.now() - startMs)
    }
  } finally {
    await handle.close()
    await rm(path, { force: true })
  }
  return times
}
