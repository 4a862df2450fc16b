import { availableParallelism, cpus, totalmem } from 'node:os'
import { listSupportedBackends } from 'onnxruntime-node'
import type { ExecutionProvider } from './worker/messages.ts'
import { startWorker } from './worker-process.ts'

/** An execution provider as it was found on this machine. */
export type ProviderFinding = {
  readonly name: ExecutionProvider
  /** Whether the runtime that is installed was built with it. */
  readonly isBuiltIn: boolean
  /** Milliseconds to load the graph, and of the fastest of some runs; absent when it does not load or run. */
  readonly loadMs?: number
  readonly runMs?: number
  /** Why it does not. */
  readonly problem?: string
}

export type MachineFinding = {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly providers: readonly ProviderFinding[]
  /** What `auto` takes: the first of cuda, webgpu, cpu that works. */
  readonly chosen: ExecutionProvider | undefined
}

export declare namespace examineMachine {
  type Options = {
    /** A graph to measure with; its free dimensions are taken as 1. */
    onnxFile: string
    signal: AbortSignal
    /** Longest wait for one provider. */
    timeoutMs?: number
  }
}

const NAMES: readonly ExecutionProvider[] = ['cuda', 'webgpu', 'cpu']
const RUNS = 20

/**
 * Finds which execution providers this machine has and measures each with a graph, every one in a process of its own: a
 * driver that crashes says no, and nothing more.
 */
export async function examineMachine({
  onnxFile,
  signal,
  timeoutMs = 60_000,
}: examineMachine.Options): Promise<MachineFinding> {
  const builtIn = new Set(listSupportedBackends().map(({ name }) => name))
  const providers: ProviderFinding[] = []
  for (const name of NAMES) {
    const isBuiltIn = builtIn.has(name)
    const measured = isBuiltIn
      ? await measure(name, { onnxFile, signal, timeoutMs }).catch((error: unknown) => ({
          problem: error instanceof Error ? error.message : String(error),
        }))
      : { problem: 'the installed runtime does not have it' }
    providers.push({ name, isBuiltIn, ...measured })
  }
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    providers,
    chosen: providers.find(({ runMs }) => runMs !== undefined)?.name,
  }
}

async function measure(
  executionProvider: ExecutionProvider,
  { onnxFile, signal, timeoutMs }: Required<examineMachine.Options>,
): Promise<{ loadMs: number; runMs: number }> {
  const abort = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const worker = await startWorker({
    ...{ onnxFile, executionProvider, signal: abort },
    ...{ threads: 0, maxSequences: 1, maxRows: 1, silenceMs: timeoutMs },
  })
  try {
    const inputs = Object.fromEntries(worker.graph.inputs.map((spec) => [spec.name, onesOf(spec)]))
    let runMs = Number.POSITIVE_INFINITY
    for (let i = 0; i < RUNS; i++) {
      const startedMs = performance.now()
      await worker.run(inputs, abort)
      runMs = Math.min(runMs, performance.now() - startedMs)
    }
    return { loadMs: worker.graph.loadMs, runMs }
  } finally {
    await worker.stop()
  }
}

function onesOf({ name, type, dims }: { name: string; type: string; dims: readonly (number | string)[] }) {
  const sizes = dims.map((size) => (typeof size === 'number' ? size : 1))
  const count = sizes.reduce((product, size) => product * size, 1)
  if (type === 'int64') return { type, dims: sizes, data: new BigInt64Array(count).fill(1n) } as const
  if (type === 'float32') return { type, dims: sizes, data: new Float32Array(count).fill(1) } as const
  throw new Error(`the graph's input ${name} is ${type}; give one that takes float32 or int64`)
}
