import { InferenceSession } from 'onnxruntime-node'
import { createGenerator, type Generator } from './generator.ts'
import { cacheShapeOf } from './kv-cache.ts'
import type { LoadOrder, Order, Report, TensorSpec } from './messages.ts'
import { createTensorRuns, type TensorRuns } from './tensor-runs.ts'

/** A model in a process of its own: a crash of the native runtime ends this process, not the agent. */
let generator: Generator | undefined
let runs: TensorRuns | undefined
let isRunning = false

process.on('message', (order: Order) => {
  switch (order.kind) {
    case 'load':
      void load(order)
      return
    case 'generate':
      if (generator === undefined)
        report({ kind: 'failed', id: order.id, message: 'this graph generates no text' })
      else generator.add(order)
      break
    case 'run':
      runs?.add(order)
      break
    case 'cancel':
      generator?.cancel(order.id)
      runs?.cancel(order.id)
  }
  void work()
})
// Without its agent it has nobody to work for.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

async function load(order: LoadOrder): Promise<void> {
  const startedMs = performance.now()
  try {
    const session = await InferenceSession.create(order.onnxFile, {
      executionProviders: [order.executionProvider],
      intraOpNumThreads: order.threads,
      // Threads that wait in a loop would take the cores that the agent and its neighbours need.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    })
    const cache = cacheShapeOf(session)
    const onFailed = (id: number, error: unknown) => report({ kind: 'failed', id, message: messageOf(error) })
    if (cache) {
      generator = createGenerator({
        ...{ session, cache, onFailed, maxSequences: order.maxSequences },
        onSteps: (steps) => report({ kind: 'tokens', steps }),
      })
    }
    runs = createTensorRuns({
      ...{ session, onFailed, maxRows: order.maxRows },
      onResult: (id, outputs) => report({ kind: 'result', id, outputs }),
    })
    const inputs = session.inputMetadata.map(specOf)
    const outputs = session.outputMetadata.map(specOf)
    report({ kind: 'loaded', inputs, outputs, loadMs: performance.now() - startedMs })
  } catch (error) {
    report({ kind: 'load-failed', message: messageOf(error) })
  }
}

/** Runs until nothing is left; orders that came meanwhile are read between two steps. */
async function work(): Promise<void> {
  if (isRunning) return
  isRunning = true
  for (;;) {
    if (runs?.isIdle() === false) await runs.step()
    if (generator?.isIdle() === false) await generator.step()
    await new Promise((resolve) => setImmediate(resolve))
    if (runs?.isIdle() !== false && generator?.isIdle() !== false) break
  }
  isRunning = false
}

function specOf(value: InferenceSession.ValueMetadata): TensorSpec {
  if (!value.isTensor) throw new Error(`${value.name} is not a tensor`)
  return { name: value.name, type: value.type, dims: [...value.shape] }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function report(message: Report): void {
  process.send?.(message)
}
