type Waiting = { readonly id: number; readonly user: string }

/** Those who wait, by user: whoever holds least comes first, so that many requests of one do not hold up the others. */
export type Turns<T extends Waiting> = {
  add(one: T): void
  /** The oldest of the user that holds least by `held`; among equals, of the one that came first. */
  next(held: ReadonlyMap<string, number>): T | undefined
  take(one: T): void
  remove(id: number): void
  size(): number
}

export function createTurns<T extends Waiting>(): Turns<T> {
  const users = new Map<string, T[]>()
  let size = 0

  function drop(user: string, id: number): void {
    const own = users.get(user) ?? []
    const left = own.filter((one) => one.id !== id)
    size -= own.length - left.length
    if (left.length === 0) users.delete(user)
    else users.set(user, left)
  }

  return {
    add(one) {
      const own = users.get(one.user)
      if (own) own.push(one)
      else users.set(one.user, [one])
      size++
    },

    next(held) {
      let best: T | undefined
      let least = Number.POSITIVE_INFINITY
      for (const [user, [first]] of users) {
        const count = held.get(user) ?? 0
        const isBefore = count < least || (count === least && first && best && first.id < best.id)
        if (first === undefined || !isBefore) continue
        best = first
        least = count
      }
      return best
    },

    take: ({ user, id }) => drop(user, id),

    remove(id) {
      for (const [user, own] of users) if (own.some((one) => one.id === id)) drop(user, id)
    },

    size: () => size,
  }
}
