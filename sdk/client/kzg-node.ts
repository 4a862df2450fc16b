import { DasContextJs } from '@crate-crypto/node-eth-kzg'
import { checkBlob, invalidBlob } from '../protocol/blob.ts'
import { ZerogError } from '../protocol/errors.ts'
import { areShaped, checkCells, isElement, type KzgEngine } from '../protocol/kzg-engine.ts'

let loading: Promise<KzgEngine> | undefined

/**
 * The native engine, one for the whole process. Its work runs on the library's own threads, several blobs at a time, off the event loop;
 * only loading (about a second, once) blocks. Errors: INTERNAL where the platform has no build of the library.
 */
export function loadNodeKzg(): Promise<KzgEngine> {
  loading ??= Promise.resolve().then(() => createNodeKzg({ usePrecomp: false }))
  return loading
}

/**
 * How long one call may take, waiting for the library's threads included: thousands of times what it does. Nobody waits for ever for threads
 * that have died, or that the machine does not let run.
 */
const CALL_TIMEOUT_MS = 300_000

/**
 * An engine of its own. `usePrecomp` makes proofs faster for 100 MB of memory and seconds of loading. Errors of its calls, besides those of
 * {@link KzgEngine}: TIMEOUT when the library does not come back within `timeoutMs`.
 */
export function createNodeKzg({
  usePrecomp,
  timeoutMs = CALL_TIMEOUT_MS,
}: {
  readonly usePrecomp: boolean
  readonly timeoutMs?: number
}): KzgEngine {
  const context = DasContextJs.create({ usePrecomp })
  const run = <T>(work: () => Promise<T>, options: CallOptions): Promise<T> =>
    runWithin(timeoutMs, work, options)
  return {
    name: 'node-eth-kzg',

    async encode(blob, signal) {
      checkBlob(blob)
      const [commitment, { cells, proofs }] = await run(
        () =>
          Promise.all([context.asyncBlobToKzgCommitment(blob), context.asyncComputeCellsAndKzgProofs(blob)]),
        { signal, refusal: () => invalidBlob('element') },
      )
      return { commitment, cells, proofs }
    },

    async verifyCells(claims, signal) {
      signal?.throwIfAborted()
      if (!areShaped(claims)) return false
      const { commitments, columns, cells, proofs } = claims
      try {
        return await run(
          () => context.asyncVerifyCellKzgProofBatch([...commitments], [...columns], [...cells], [...proofs]),
          { signal },
        )
      } catch (error) {
        if (isMalformed(error)) return false
        throw error
      }
    },

    async recover(columns, cells, signal) {
      checkCells(columns, cells)
      return run(() => context.asyncRecoverCellsAndKzgProofs([...columns], [...cells]), {
        signal,
        refusal: (cause) =>
          new ZerogError('DA_CELL_INVALID', 'the cells lie on no one polynomial', { cause }),
      })
    },

    async commit(blob, signal) {
      checkBlob(blob)
      return run(() => context.asyncBlobToKzgCommitment(blob), {
        signal,
        refusal: () => invalidBlob('element'),
      })
    },

    async open(blob, z, signal) {
      checkBlob(blob)
      if (!isElement(z)) throw new ZerogError('BAD_REQUEST', 'a point is 32 bytes below the field order')
      const [proof, y] = await run(() => context.asyncComputeKzgProof(blob, z), {
        signal,
        refusal: () => invalidBlob('element'),
      })
      if (proof === undefined || y === undefined)
        throw new ZerogError('INTERNAL', 'the KZG library gave no proof')
      return { proof, y }
    },
  }
}

type CallOptions = {
  readonly signal: AbortSignal | undefined
  readonly refusal?: (cause: unknown) => unknown
}

/** Runs a call of the library. Its refusal of malformed input becomes `refusal`. Work that has begun cannot be stopped: an abort drops its result. */
async function runWithin<T>(
  timeoutMs: number,
  work: () => Promise<T>,
  { signal, refusal = (cause) => cause }: CallOptions,
): Promise<T> {
  signal?.throwIfAborted()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new ZerogError('TIMEOUT', `the KZG library has not answered for ${timeoutMs} ms`)),
    timeoutMs,
  )
  let result: T
  try {
    result = await Promise.race([work(), late])
  } catch (error) {
    throw isMalformed(error) ? refusal(error) : error
  } finally {
    clearTimeout(timer)
  }
  signal?.throwIfAborted()
  return result
}

/** The library's word for points, scalars and cells that are none. */
function isMalformed(error: unknown): boolean {
  return error instanceof Error && /Serialization\(|ReedSolomon\(/.test(error.message)
}
