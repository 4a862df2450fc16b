import { loadErasureEngine } from '../protocol/erasure-wasm.ts'
import { ZerogError } from '../protocol/errors.ts'
import { HASH_BYTES, type Hasher, loadHasher } from '../protocol/hasher.ts'
import { toHex } from '../protocol/hex.ts'
import { type FileLayout, fileLayout } from '../protocol/layout.ts'
import { joinNodes, rootOfNodes } from '../protocol/merkle.ts'
import { fileTree, type Submission, submissionDigest } from '../protocol/submission.ts'
import type { FileSource } from './file-source.ts'
import { createUnitHasher, type Engines, type UnitRun, unitCount } from './hash-units.ts'

/** All that an upload needs to know of a file. Roots are 0x hex; data shards first, then parity. */
export type PreparedFile = {
  readonly layout: FileLayout
  readonly parityShards: number
  readonly root: string
  readonly submission: Submission
  readonly digest: string
  readonly shardRoots: readonly string[]
}

/** How the hashing of units is spread; the default does one run after the other in this thread. */
export type UnitHasher = (source: FileSource, job: UnitRun & { signal?: AbortSignal }) => Promise<Uint8Array>

/** How many runs may be under way at a time, and who does them. `close` frees what it holds. */
export type HashPool = { readonly width: number; readonly hashUnits: UnitHasher; close(): Promise<void> }

/**
 * Most units of one run: 16 MiB of data shards at most, so progress is smooth and a pool stays busy. The last runs are
 * shorter, so that all threads end at about the same time.
 */
const MAX_RUN_UNITS = 4

/**
 * Reads a file once and computes its root, its submission, and the roots of all data and parity shards. Memory is
 * bounded by the pool's width, whatever the size of the file.
 *
 * Errors: EMPTY_FILE, FILE_TOO_LARGE, FILE_CHANGED, ERASURE_INVALID, ABORTED.
 */
export async function prepareFile(options: prepareFile.Options): Promise<PreparedFile> {
  const { source, parityShards, onProgress, signal } = options
  const layout = fileLayout(source.byteLength)
  const pool = options.pool ?? (await localPool())
  const units = unitCount(layout)
  const shards = layout.dataShards + parityShards
  const roots = new Uint8Array(units * shards * HASH_BYTES)
  let nextUnit = 0
  let doneUnits = 0

  async function work(): Promise<void> {
    while (nextUnit < units) {
      signal?.throwIfAborted()
      const share = Math.ceil((units - nextUnit) / (2 * pool.width))
      const range = { from: nextUnit, to: nextUnit + Math.min(MAX_RUN_UNITS, share) }
      nextUnit = range.to
      const part = await pool.hashUnits(source, {
        layout,
        parityShards,
        range,
        ...(signal === undefined ? {} : { signal }),
      })
      roots.set(part, range.from * shards * HASH_BYTES)
      doneUnits += range.to - range.from
      const doneBytes = Math.min(layout.byteLength, Math.round((doneUnits / units) * layout.byteLength))
      onProgress?.({ doneBytes, totalBytes: layout.byteLength })
    }
  }

  try {
    await Promise.all(Array.from({ length: pool.width }, work))
    signal?.throwIfAborted()
    await source.assertUnchanged?.()
  } catch (error) {
    if (signal?.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
    throw error
  }
  return assemble(await loadHasher(), { layout, parityShards, roots })
}

export declare namespace prepareFile {
  type Options = {
    source: FileSource
    parityShards: number
    pool?: HashPool
    onProgress?: (progress: { doneBytes: number; totalBytes: number }) => void
    signal?: AbortSignal
  }
}

/** Runs in this thread, one at a time. */
async function localPool(): Promise<HashPool> {
  const engines: Engines = { hasher: await loadHasher(), erasure: await loadErasureEngine() }
  return {
    width: 1,
    hashUnits: createUnitHasher(engines),
    close: async () => undefined,
  }
}

function assemble(
  hasher: Hasher,
  { layout, parityShards, roots }: { layout: FileLayout; parityShards: number; roots: Uint8Array },
): PreparedFile {
  const shards = layout.dataShards + parityShards
  const units = unitCount(layout)
  const shardRoots = Array.from({ length: shards }, (_, shard) => {
    const own = Array.from({ length: units }, (_, unit) => {
      const at = (unit * shards + shard) * HASH_BYTES
      return roots.subarray(at, at + HASH_BYTES)
    })
    return rootOfNodes(hasher, joinNodes(own))
  })
  const { root, submission } = fileTree(hasher, layout, joinNodes(shardRoots.slice(0, layout.dataShards)))
  return {
    layout,
    parityShards,
    root,
    submission,
    digest: submissionDigest(submission),
    shardRoots: shardRoots.map(toHex),
  }
}
