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

/** An engine of its own. `usePrecomp` makes proofs faster for 100 MB of memory and seconds of loading. */
export function createNodeKzg(options: { readonly usePrecomp: boolean }): KzgEngine {
  const context = DasContextJs.create(options)
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

/** Runs a call of the library. Its refusal of malformed input becomes `refusal`. Work that has begun cannot be stopped: an abort drops its result. */
async function run<T>(
  work: () => Promise<T>,
  {
    signal,
    refusal = (cause) => cause,
  }: { signal: AbortSignal | undefined; refusal?: (cause: unknown) => unknown },
): Promise<T> {
  signal?.throwIfAborted()
  let result: T
  try {
    result = await work()
  } catch (error) {
    throw isMalformed(error) ? refusal(error) : error
  }
  signal?.throwIfAborted()
  return result
}

/** The library's word for points, scalars and cells that are none. */
function isMalformed(error: unknown): boolean {
  return error instanceof Error && /Serialization\(|ReedSolomon\(/.test(error.message)
}
