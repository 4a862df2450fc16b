import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { ExecutionProvider } from '../../../agents/compute/worker/messages.ts'

/** What the bare runtime is told. */
export type BareOrder =
  | {
      readonly kind: 'load'
      readonly onnxFile: string
      readonly executionProvider: ExecutionProvider
      readonly threads: number
    }
  | {
      readonly kind: 'tensors'
      readonly name: string
      readonly dims: readonly number[]
      readonly data: Float32Array
      readonly runs: number
    }
  | {
      readonly kind: 'generate'
      readonly promptIds: readonly number[]
      readonly rows: number
      readonly tokens: number
    }

/** How long its runs took, and the processor time of all of them. */
export type BareReport = { readonly runsMs: readonly number[]; readonly cpuSec: number }

/** A model on the bare runtime, in a process of its own. */
export type BareRuntime = {
  tensors(order: Omit<Extract<BareOrder, { kind: 'tensors' }>, 'kind'>): Promise<BareReport>
  generate(order: Omit<Extract<BareOrder, { kind: 'generate' }>, 'kind'>): Promise<BareReport>
  stop(): Promise<void>
}

/** Loads a graph. Throws with what the runtime says when this machine does not run it there. */
export async function startBare(
  load: Omit<Extract<BareOrder, { kind: 'load' }>, 'kind'>,
): Promise<BareRuntime> {
  const child = fork(new URL('./bare-runtime.js', import.meta.url), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const ended = once(child, 'exit')
  async function ask(order: BareOrder): Promise<BareReport> {
    child.send(order)
    const [report] = (await Promise.race([
      once(child, 'message'),
      ended.then(([code, signal]) => [{ problem: `the process ended (${signal ?? code})` }]),
    ])) as [BareReport | { problem: string }]
    if ('problem' in report) throw new Error(report.problem)
    return report
  }
  const stop = async () => {
    if (child.connected) child.disconnect()
    await ended
  }
  try {
    await ask({ kind: 'load', ...load })
  } catch (cause) {
    await stop()
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`this machine does not run the model on ${load.executionProvider}: ${reason}`, { cause })
  }
  return {
    tensors: (order) => ask({ kind: 'tensors', ...order }),
    generate: (order) => ask({ kind: 'generate', ...order }),
    stop,
  }
}
