import { randomFillSync } from 'node:crypto'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { loadErasureEngine } from '../../../sdk/protocol/erasure-wasm.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { merkleRoot } from '../../../sdk/protocol/merkle.ts'
import { MIB } from './bench-case.ts'
import { dataBytesPerSec } from './encode.ts'

/** Bytes that one core hashes and encodes in a second while all of them do. */
export type CoreSpeeds = { hash: number; encode: number }

const HASH_MS = 2_000

// This module is also the entry of its worker threads.
if (!isMainThread) parentPort?.postMessage(await ownSpeeds())

/**
 * Measures a core's speeds while every core is busy: cores share caches, memory and sometimes execution units, so a
 * core alone is faster than one of many, and a floor for work on all cores must not count on it.
 */
export async function busyCoreSpeeds(cores: number): Promise<CoreSpeeds> {
  const all = await Promise.all(Array.from({ length: cores }, speedsOfThread))
  const mean = (name: keyof CoreSpeeds) => all.reduce((sum, speeds) => sum + speeds[name], 0) / cores
  return { hash: mean('hash'), encode: mean('encode') }
}

function speedsOfThread(): Promise<CoreSpeeds> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url))
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function ownSpeeds(): Promise<CoreSpeeds> {
  const hasher = await loadHasher()
  const piece = randomFillSync(new Uint8Array(MIB))
  merkleRoot(hasher, piece)
  const startedMs = performance.now()
  let bytes = 0
  while (performance.now() - startedMs < HASH_MS) {
    merkleRoot(hasher, piece)
    bytes += piece.length
  }
  const hash = bytes / ((performance.now() - startedMs) / 1000)
  return { hash, encode: await dataBytesPerSec(await loadErasureEngine()) }
}
