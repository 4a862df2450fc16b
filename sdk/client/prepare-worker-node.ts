import { parentPort } from 'node:worker_threads'
import { loadErasureEngine } from '../protocol/erasure-wasm.ts'
import { type ErrorCode, errorCode } from '../protocol/errors.ts'
import { loadHasher } from '../protocol/hasher.ts'
import { openPathSource, type PathSource } from './file-source-node.ts'
import { createUnitHasher, type UnitRun } from './hash-units.ts'

/** What the pool asks of a thread. */
export type HashJob = UnitRun & { path: string }

/** What a thread answers. */
export type HashReply = { ok: true; roots: Uint8Array } | { ok: false; code: ErrorCode; message: string }

// This module is the entry of a worker thread, so what it does at import is its work.
const port = parentPort
const hasher = loadUnitHasher()
let open: PathSource | undefined

port?.on('message', async (job: HashJob) => {
  try {
    const roots = await hashJob(job)
    const reply: HashReply = { ok: true, roots }
    port.postMessage(reply)
  } catch (error) {
    const reply: HashReply = {
      ok: false,
      code: errorCode(error),
      message: error instanceof Error ? error.message : String(error),
    }
    port.postMessage(reply)
  }
})

async function hashJob({ path, ...run }: HashJob): Promise<Uint8Array> {
  open ??= await openPathSource(path)
  const hashUnits = await hasher
  return hashUnits(open, run)
}

async function loadUnitHasher() {
  return createUnitHasher({ hasher: await loadHasher(), erasure: await loadErasureEngine() })
}
