import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { ZerogError } from '../protocol/errors.ts'
import type { PathSource } from './file-source-node.ts'
import type { HashPool } from './prepare.ts'
import type { HashJob, HashReply } from './prepare-worker-node.ts'

/** More threads than this gain little: the disk is the limit by then. */
const MAX_THREADS = 8
/** About what one job hashes: a file shorter than this keeps one thread busy. */
const BYTES_PER_THREAD = 16 * 1024 * 1024

/**
 * A pool of worker threads that hash a file on disk, by default one per core (8 at most). Those that the file's length
 * can keep busy start at once, while the caller has other things to do; `close` ends them.
 */
export function createHashPool(source: PathSource, { threads = defaultThreads() } = {}): HashPool {
  const all: HashThread[] = []
  const busy = Math.min(threads, Math.ceil(source.byteLength / BYTES_PER_THREAD))
  const idle = Array.from({ length: busy }, () => startThread(all))
  return {
    width: threads,
    async hashUnits(_, { layout, parityShards, range, signal }) {
      const thread = idle.pop() ?? startThread(all)
      const roots = await thread.run({ path: source.path, layout, parityShards, range }, signal)
      idle.push(thread)
      return roots
    },
    async close() {
      idle.length = 0
      await Promise.all(all.splice(0).map((thread) => thread.stop()))
    },
  }
}

type HashThread = {
  run(job: HashJob, signal?: AbortSignal): Promise<Uint8Array>
  stop(): Promise<unknown>
}

function defaultThreads(): number {
  return Math.min(availableParallelism(), MAX_THREADS)
}

function startThread(all: HashThread[]): HashThread {
  const worker = new Worker(new URL('./prepare-worker-node.js', import.meta.url))
  // An idle pool must not keep the process alive.
  worker.unref()
  let failure: unknown
  worker.on('error', (cause) => {
    failure = cause
  })
  const thread: HashThread = {
    run: (job, signal) =>
      new Promise((resolve, reject) => {
        const done = (settle: () => void) => {
          worker.off('message', onMessage)
          worker.off('error', onError)
          signal?.removeEventListener('abort', onAbort)
          worker.unref()
          settle()
        }
        const onMessage = (reply: HashReply) =>
          done(() =>
            reply.ok
              ? resolve(reply.roots)
              : reject(new ZerogError(reply.code, reply.message, { meta: { path: job.path } })),
          )
        const onError = (cause: unknown) =>
          done(() => reject(new ZerogError('INTERNAL', undefined, { cause })))
        const onAbort = () => done(() => reject(new ZerogError('ABORTED')))
        if (signal?.aborted) return reject(new ZerogError('ABORTED'))
        if (failure !== undefined) return onError(failure)
        worker.ref()
        worker.once('message', onMessage)
        worker.once('error', onError)
        signal?.addEventListener('abort', onAbort, { once: true })
        worker.postMessage(job)
      }),
    stop: () => worker.terminate(),
  }
  all.push(thread)
  return thread
}
