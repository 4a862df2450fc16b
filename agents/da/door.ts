import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A body on its way in. */
export type Visit = {
  /** Fires when the place is given to another. */
  readonly signal: AbortSignal
  /** The body is here: from now on the place is not taken away. */
  arrived(): void
  leave(): void
}

export type Door = {
  /** Lets a body of `bytes` in, sent by `from`; a name that is equal is one sender. Throws DA_BUSY. */
  enter(body: { bytes: number; from: string }): Visit
}

type Guest = {
  readonly bytes: number
  readonly from: string
  readonly sinceMs: number
  readonly shown: AbortController
  hasArrived: boolean
}

/** What any body may take before its place can go to another: so long, and four seconds for each MiB. */
const GRACE_MS = 5000
const BYTES_PER_MS = 262

/**
 * Places for bodies that are read. Whoever holds them by sending slowly loses them when others come: first the one that has the most, to who
 * has fewer by two, then whoever is too slow.
 */
export function createDoor({
  places,
  mostBytes,
  now = () => performance.now(),
}: {
  places: number
  mostBytes: number
  now?: () => number
}): Door {
  const guests = new Set<Guest>()

  const bytesIn = () => [...guests].reduce((sum, { bytes }) => sum + bytes, 0)
  const hasRoom = (bytes: number) =>
    guests.size < places && (guests.size === 0 || bytesIn() + bytes <= mostBytes)
  const isSlow = ({ sinceMs, bytes }: Guest) => now() - sinceMs > GRACE_MS + bytes / BYTES_PER_MS

  /** Who has to go for `from`: of whoever has most one that is too slow, else the newest; else of all the oldest that is too slow. */
  function outgoing(from: string): Guest | undefined {
    const held = new Map<string, number>()
    for (const guest of guests) held.set(guest.from, (held.get(guest.from) ?? 0) + 1)
    const fairMost = (held.get(from) ?? 0) + 2
    const most = Math.max(...held.values())
    const waiting = [...guests].filter(({ hasArrived }) => !hasArrived)
    const greedy = most < fairMost ? [] : waiting.filter((guest) => held.get(guest.from) === most)
    return greedy.find(isSlow) ?? greedy.at(-1) ?? waiting.find(isSlow)
  }

  return {
    enter({ bytes, from }) {
      while (!hasRoom(bytes)) {
        const guest = outgoing(from)
        if (!guest) throw new ZerogError('DA_BUSY', undefined, { meta: { reading: guests.size, places } })
        guests.delete(guest)
        guest.shown.abort()
      }
      const guest = { bytes, from, sinceMs: now(), shown: new AbortController(), hasArrived: false }
      guests.add(guest)
      return {
        signal: guest.shown.signal,
        arrived() {
          guest.hasArrived = true
        },
        leave: () => void guests.delete(guest),
      }
    },
  }
}
