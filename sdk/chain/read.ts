import type { BlockTag } from 'ethers'
import { ZerogError } from '../protocol/errors.ts'
import { chainError } from './decode-error.ts'

/** How a read is made. Pin `blockTag` to read several things of one moment. Time-out: 30 s unless told otherwise. */
export type ReadOptions = {
  readonly blockTag?: BlockTag
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

const READ_TIMEOUT_MS = 30_000

/** The overrides that ethers wants for a pinned block. */
export function at(options: ReadOptions): { blockTag?: BlockTag } {
  return options.blockTag === undefined ? {} : { blockTag: options.blockTag }
}

/**
 * Awaits something of the RPC with a time-out and a signal, and translates what it throws.
 *
 * Errors: those of {@link chainError}; TIMEOUT; ABORTED.
 */
export async function read<T>(pending: Promise<T>, options: ReadOptions = {}): Promise<T> {
  const { promise: cancelled, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new ZerogError('ABORTED', undefined, { cause: options.signal?.reason }))
  const timer = setTimeout(
    () => reject(new ZerogError('TIMEOUT', 'the chain RPC takes too long')),
    options.timeoutMs ?? READ_TIMEOUT_MS,
  )
  if (options.signal?.aborted) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([pending, cancelled])
  } catch (error) {
    throw chainError(error)
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', onAbort)
    // Whoever lost the race must not surface as an unhandled rejection.
    pending.catch(() => undefined)
    cancelled.catch(() => undefined)
  }
}
