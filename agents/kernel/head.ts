import type { JsonRpcProvider } from 'ethers'
import type { Log } from './log.ts'

/** One block at the tip, read once and used for every read of a tick. */
export type Head = {
  readonly number: number
  readonly hash: string
  readonly parentHash: string
  readonly timestampSec: number
}

export type HeadChange = { readonly head: Head; readonly previous: Head | undefined; readonly reorg: boolean }

/** Follows the tip of the chain. */
export type HeadTracker = {
  current(): Head
  /** Milliseconds since the node last answered. */
  silentMs(): number
  /** Calls `listener` on each new head; returns the function that ends it. Listeners must not throw. */
  subscribe(listener: (change: HeadChange) => void): () => void
  /** Polls now instead of at the next interval. */
  poke(): void
  stop(): Promise<void>
}

export declare namespace trackHead {
  type Options = { provider: JsonRpcProvider; signal: AbortSignal; log: Log; pollMs?: number }
}
