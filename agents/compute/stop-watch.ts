/** Watches a text for strings at which it ends; what may be the beginning of one is held back. */
export type StopWatch = {
  /** Text that may leave now, and whether a stop string was met: it and all after it never leaves. */
  push(text: string): { text: string; isStopped: boolean }
  /** What was held back, once nothing follows. */
  flush(): string
}

export function createStopWatch(stops: readonly string[]): StopWatch {
  let held = ''
  return {
    push(text) {
      held += text
      const found = stops.map((stop) => held.indexOf(stop)).filter((at) => at >= 0)
      if (found.length > 0) {
        const kept = held.slice(0, Math.min(...found))
        held = ''
        return { text: kept, isStopped: true }
      }
      const keep = Math.max(0, ...stops.map((stop) => overlap(held, stop)))
      const free = held.slice(0, held.length - keep)
      held = held.slice(held.length - keep)
      return { text: free, isStopped: false }
    },
    flush() {
      const rest = held
      held = ''
      return rest
    },
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--)
    if (text.endsWith(stop.slice(0, length))) return length
  return 0
}
