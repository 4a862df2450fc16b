import { stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { backoffMs } from '../kernel/backoff.ts'
import type { Log } from '../kernel/log.ts'
import type { ComputeConfig } from './config.ts'
import type { ModelFolder } from './model-store.ts'
import { loadTextModel, type TextModel } from './text-model.ts'
import type { ExecutionProvider } from './worker/messages.ts'
import { startWorker, type WorkerProcess } from './worker-process.ts'

/** How a model is served now. */
export type ServedModel = {
  readonly folder: ModelFolder
  readonly worker: WorkerProcess
  /** Tokenizer and chat template; absent for graphs that take tensors only. */
  readonly text: TextModel | undefined
  readonly kind: ModelKind
}

/** What a graph can do: write text, embed text, or map tensors to tensors. */
export type ModelKind = 'text-generation' | 'embedding' | 'tensors'

/** Keeps one model loaded: fetches it, starts its process, starts it again when it ends. */
export type ModelRuntime = {
  /** Throws COMPUTE_UNAVAILABLE while no process stands. */
  current(): ServedModel
  state(): { state: 'starting' | 'ready'; restarts: number; problem?: string }
  stop(): Promise<void>
}

export declare namespace startModelRuntime {
  type Options = {
    config: ComputeConfig
    openFolder: (signal: AbortSignal) => Promise<ModelFolder>
    log: Log
    signal: AbortSignal
    onRestart: () => void
  }
}

const FALLBACK: readonly ExecutionProvider[] = ['cuda', 'webgpu', 'cpu']
const LONGEST_PAUSE_MS = 30_000
const SMALL_GRAPH_BYTES = 32 * 1024 * 1024

export function startModelRuntime(options: startModelRuntime.Options): ModelRuntime {
  const { config, openFolder, log, onRestart } = options
  const stopping = new AbortController()
  const signal = AbortSignal.any([options.signal, stopping.signal])
  let served: ServedModel | undefined
  let problem: string | undefined
  let restarts = 0

  async function start(): Promise<ServedModel> {
    const folder = await openFolder(signal)
    const text = await loadTextModel(folder)
    const worker = await startWithProvider(folder.onnxFile, await threadsFor(folder, text))
    return { folder, worker, text, kind: kindOf(worker, text) }
  }

  /** The steps of a small text model are so short that handing parts of them to other threads costs more than it brings. */
  async function threadsFor({ onnxFile }: ModelFolder, text: TextModel | undefined): Promise<number> {
    if (config.THREADS > 0 || text === undefined) return config.THREADS
    return (await stat(onnxFile)).size < SMALL_GRAPH_BYTES ? 1 : 0
  }

  /** The first execution provider that takes the graph; a process that dies of one says no to it only. */
  async function startWithProvider(onnxFile: string, threads: number): Promise<WorkerProcess> {
    const choices = config.EXECUTION_PROVIDER === 'auto' ? FALLBACK : [config.EXECUTION_PROVIDER]
    let failure: unknown
    for (const executionProvider of choices) {
      try {
        return await startWorker({
          ...{ onnxFile, executionProvider, signal },
          threads,
          maxSequences: config.MAX_SEQUENCES,
          maxRows: config.MAX_ROWS,
          silenceMs: config.WORKER_SILENCE_MS,
        })
      } catch (error) {
        if (signal.aborted) throw error
        log.debug({ executionProvider, err: error }, 'execution provider does not take the model')
        failure = error
      }
    }
    throw failure
  }

  async function keep(): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        served = await start()
        problem = undefined
        const { executionProvider, loadMs } = served.worker.graph
        log.info({ executionProvider, loadMs: Math.round(loadMs), kind: served.kind }, 'model loaded')
        const loadedMs = performance.now()
        await served.worker.ended
        served = undefined
        if (signal.aborted) return
        restarts++
        onRestart()
        // One that worked for a while starts again at once; one that dies at every request must not spin.
        failures = performance.now() - loadedMs > LONGEST_PAUSE_MS ? 0 : failures + 1
        problem = 'the model process ended'
        log.warn({ restarts }, 'model process ended, starting another')
      } catch (error) {
        if (signal.aborted) return
        failures++
        problem = error instanceof Error ? error.message : String(error)
        log.warn({ code: errorCode(error), failures, err: error }, 'model could not be loaded, trying again')
      }
      await delay(backoffMs(failures, 100, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => undefined)
    }
  }
  const keeping = keep()

  return {
    current() {
      if (served) return served
      throw new ZerogError('COMPUTE_UNAVAILABLE', 'the model is being loaded; try again shortly')
    },
    state: () => ({
      state: served ? 'ready' : 'starting',
      restarts,
      ...(problem === undefined ? {} : { problem }),
    }),
    async stop() {
      stopping.abort()
      await keeping
    },
  }
}

function kindOf({ graph }: WorkerProcess, text: TextModel | undefined): ModelKind {
  if (text === undefined) return 'tensors'
  if (
    graph.outputs.some(({ name }) => name === 'logits') &&
    graph.inputs.some(({ name }) => name.startsWith('past_key_values.'))
  )
    return 'text-generation'
  const gives = (wanted: string) => graph.outputs.some(({ name }) => name === wanted)
  return gives('sentence_embedding') || gives('last_hidden_state') ? 'embedding' : 'tensors'
}
