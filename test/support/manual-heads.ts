import type { HeadChange, HeadTracker } from '../../agents/kernel/head.ts'
import type { Head } from '../../agents/kernel/rpc.ts'

/** A head tracker that a test moves by hand: chain time for what needs no chain. */
export function manualHeads(start = 100): HeadTracker & { advance(blocks?: number): void } {
  const listeners = new Set<(change: HeadChange) => void>()
  let head = headAt(start)
  return {
    current: () => head,
    silentMs: () => 0,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    poke: () => undefined,
    stop: async () => undefined,
    advance: (blocks = 1) => {
      const previous = head
      head = headAt(head.number + blocks)
      for (const listener of listeners) listener({ head, previous, reorg: false })
    },
  }
}

function headAt(number: number): Head {
  const hash = (block: number): string => `0x${block.toString(16).padStart(64, '0')}`
  return { number, hash: hash(number), parentHash: hash(number - 1), timestampSec: number }
}
