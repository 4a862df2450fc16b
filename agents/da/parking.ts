/** A blob that has its first quorum and waits for more, beside those that are in hand. */
export type ParkedPlace = {
  /** Fires when the blob has to end as it is: newer ones need the room. */
  readonly signal: AbortSignal
  park(): void
  leave(): void
}

export type Parking = { place(bytes: number): ParkedPlace }

/** Room for so many blobs and bytes; of more, the longest parked ends. */
export function createParking({ mostBlobs, mostBytes }: { mostBlobs: number; mostBytes: number }): Parking {
  const parked = new Map<AbortController, number>()
  let parkedBytes = 0

  function leave(end: AbortController): void {
    parkedBytes -= parked.get(end) ?? 0
    parked.delete(end)
  }

  return {
    place(bytes) {
      const end = new AbortController()
      return {
        signal: end.signal,
        park() {
          if (parked.has(end) || end.signal.aborted) return
          parked.set(end, bytes)
          parkedBytes += bytes
          for (const oldest of parked.keys()) {
            if (oldest === end || (parked.size <= mostBlobs && parkedBytes <= mostBytes)) return
            leave(oldest)
            oldest.abort()
          }
        },
        leave: () => leave(end),
      }
    },
  }
}
