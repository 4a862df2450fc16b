import { type ChildProcess, fork } from 'node:child_process'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { workerVariables } from './config.ts'
import type {
  ExecutionProvider,
  GenerateJob,
  LoadOrder,
  Order,
  Report,
  TensorSpec,
  Tensors,
  TokenStep,
} from './worker/messages.ts'

/** What a loaded graph takes and gives. */
export type LoadedGraph = {
  readonly executionProvider: ExecutionProvider
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly loadMs: number
}

/** A model in a child process. Everything it works on fails with COMPUTE_UNAVAILABLE when the process ends. */
export type WorkerProcess = {
  readonly pid: number
  readonly graph: LoadedGraph
  /** Settles when the process has ended. */
  readonly ended: Promise<void>
  /** Tokens as they come; the last one says why none follows. Ends early, without an error, when `signal` aborts. */
  generate(job: Omit<GenerateJob, 'id'>, signal: AbortSignal): AsyncIterable<Omit<TokenStep, 'id'>>
  run(inputs: Tensors, signal: AbortSignal): Promise<Tensors>
  /** Requests in it. */
  active(): number
  stop(): Promise<void>
}

export declare namespace startWorker {
  type Options = Omit<LoadOrder, 'kind'> & {
    /** Longest silence of a worker that has work or loads; it is ended then. */
    silenceMs: number
    signal: AbortSignal
  }
}

type Listener = {
  onSteps(step: TokenStep): void
  onResult(outputs: Tensors): void
  onError(error: ZerogError): void
}

/** Starts a process and loads a graph in it. Errors: COMPUTE_MODEL_INVALID with what the runtime says, ABORTED. */
export async function startWorker(options: startWorker.Options): Promise<WorkerProcess> {
  const { silenceMs, signal, ...order } = options
  signal.throwIfAborted()
  const child = fork(new URL('./worker/main.js', import.meta.url), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: workerVariables(),
  })
  const listeners = new Map<number, Listener>()
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>()
  const loaded = Promise.withResolvers<LoadedGraph>()
  loaded.promise.catch(() => undefined)
  let isGone = false
  let isLoading = true
  let lastId = 0
  let heardMs = performance.now()

  const watch = setInterval(
    () => {
      const isBusy = isLoading || listeners.size > 0
      if (!isBusy) heardMs = performance.now()
      else if (performance.now() - heardMs > silenceMs) child.kill('SIGKILL')
    },
    Math.min(1000, silenceMs),
  )
  watch.unref()

  child.on('message', (report: Report) => {
    heardMs = performance.now()
    switch (report.kind) {
      case 'loaded':
        isLoading = false
        return loaded.resolve({ ...report, executionProvider: order.executionProvider })
      case 'load-failed':
        return loaded.reject(
          new ZerogError('COMPUTE_MODEL_INVALID', `the graph cannot be loaded: ${report.message}`),
        )
      case 'tokens':
        for (const step of report.steps) listeners.get(step.id)?.onSteps(step)
        return
      case 'result':
        return listeners.get(report.id)?.onResult(report.outputs)
      case 'failed':
        return listeners.get(report.id)?.onError(new ZerogError('COMPUTE_INPUT_INVALID', report.message))
    }
  })
  const onGone = (reason: string) => {
    if (isGone) return
    isGone = true
    clearInterval(watch)
    loaded.reject(
      new ZerogError('COMPUTE_MODEL_INVALID', `the runtime ended while it loaded the graph (${reason})`),
    )
    const error = new ZerogError('COMPUTE_UNAVAILABLE', 'the model stopped while it worked on this request')
    for (const listener of [...listeners.values()]) listener.onError(error)
    onEnded()
  }
  child.once('error', (error) => onGone(error.message))
  child.once('exit', (code, exitSignal) => onGone(exitSignal ?? `exit code ${code}`))
  const onAbort = () => void child.kill('SIGKILL')
  signal.addEventListener('abort', onAbort, { once: true })
  void ended.then(() => signal.removeEventListener('abort', onAbort))

  const send = (message: Order) => sendTo(child, message)
  const listen = (listener: Listener): number => {
    if (isGone) throw new ZerogError('COMPUTE_UNAVAILABLE')
    if (listeners.size === 0) heardMs = performance.now()
    listeners.set(++lastId, listener)
    return lastId
  }

  send({ kind: 'load', ...order })
  let graph: LoadedGraph
  try {
    graph = await loaded.promise
  } catch (error) {
    child.kill('SIGKILL')
    await ended
    throw signal.aborted ? new ZerogError('ABORTED') : error
  }

  return {
    pid: child.pid ?? 0,
    graph,
    ended,
    active: () => listeners.size,

    async *generate(job, abort) {
      const steps: TokenStep[] = []
      let failure: ZerogError | undefined
      let wake = Promise.withResolvers<void>()
      const id = listen({
        onSteps: (step) => {
          steps.push(step)
          wake.resolve()
        },
        onResult: () => undefined,
        onError: (error) => {
          failure = error
          wake.resolve()
        },
      })
      const onAbortJob = () => wake.resolve()
      abort.addEventListener('abort', onAbortJob, { once: true })
      let isOver = false
      try {
        send({ kind: 'generate', id, ...job })
        while (!abort.aborted) {
          for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
            isOver = step.end !== undefined
            yield step
            if (isOver || abort.aborted) return
          }
          if (failure) throw failure
          await wake.promise
          wake = Promise.withResolvers<void>()
        }
      } finally {
        abort.removeEventListener('abort', onAbortJob)
        listeners.delete(id)
        if (!isOver) send({ kind: 'cancel', id })
      }
    },

    async run(inputs, abort) {
      const result = Promise.withResolvers<Tensors>()
      const id = listen({ onSteps: () => undefined, onResult: result.resolve, onError: result.reject })
      const onAbortJob = () => {
        send({ kind: 'cancel', id })
        result.reject(new ZerogError('ABORTED'))
      }
      abort.addEventListener('abort', onAbortJob, { once: true })
      try {
        send({ kind: 'run', id, inputs })
        return await result.promise
      } finally {
        abort.removeEventListener('abort', onAbortJob)
        listeners.delete(id)
      }
    },

    async stop() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** A process that has just ended is told nothing; its `exit` says the rest. */
function sendTo(child: ChildProcess, message: Order): void {
  if (child.connected) child.send(message, () => undefined)
}
