import type { JsonRpcProvider } from 'ethers'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Log } from './log.ts'
import { type Block, type Head, readBlock } from './rpc.ts'
import { startTicker } from './ticker.ts'

export type { Head } from './rpc.ts'

export type HeadChange = { readonly head: Head; readonly previous: Head; readonly reorg: boolean }

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

/**
 * Reads the head and then polls for new ones until stopped; a node that is away is waited for.
 *
 * `reorg` is true when the previous head is not an ancestor of the new one. Errors: RPC_UNREACHABLE at the start only.
 */
export async function trackHead(options: trackHead.Options): Promise<HeadTracker> {
  const { provider, signal, log, pollMs = 250 } = options
  const listeners = new Set<(change: HeadChange) => void>()
  let head: Head = await readTip(provider)
  let answeredAt = performance.now()

  const ticker = startTicker({
    name: 'head',
    intervalMs: pollMs,
    signal,
    log,
    tick: async () => {
      const tip = await readTip(provider)
      answeredAt = performance.now()
      if (tip.hash === head.hash) return
      const reorg = !(await descends(provider, tip, head))
      const previous = head
      head = tip
      if (reorg) log.warn({ from: previous.number, to: tip.number }, 'chain reorganized')
      for (const listener of listeners) listener({ head, previous, reorg })
    },
  })

  return {
    current: () => head,
    silentMs: () => performance.now() - answeredAt,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    poke: ticker.trigger,
    stop: ticker.stop,
  }
}

async function readTip(provider: JsonRpcProvider): Promise<Head> {
  const tip = await readBlock(provider, 'latest')
  if (!tip) throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC has no block')
  return plain(tip)
}

async function descends(provider: JsonRpcProvider, tip: Head, previous: Head): Promise<boolean> {
  if (tip.number <= previous.number) return false
  if (tip.number === previous.number + 1) return tip.parentHash === previous.hash
  return (await readBlock(provider, previous.number))?.hash === previous.hash
}

function plain({ baseFeeWei: _, ...head }: Block): Head {
  return head
}
