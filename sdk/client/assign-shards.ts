/** A provider as assignment sees it, in order of preference. */
export type Keeper = { readonly operator: string; readonly capacityShards: number }

/** Operator of each shard, by shard index. */
export type Assignment = ReadonlyMap<number, string>

/**
 * Gives every shard that has no keeper among `keepers` one: spread evenly over `spare` providers more than the fewest
 * that the limit allows (each more loses less at a time, and costs gas at the seal), in order of preference. Shards that
 * have one keep it.
 *
 * @returns undefined when the keepers have too little room under the limit
 */
export function assignShards(options: {
  shards: number
  limit: number
  spare?: number
  keepers: readonly Keeper[]
  current?: Assignment
}): Assignment | undefined {
  const { shards, limit, spare = 0, keepers, current = new Map<number, string>() } = options
  const room = new Map(
    keepers.map(({ operator, capacityShards }) => [operator, Math.min(limit, capacityShards)]),
  )
  const counts = new Map<string, number>()
  const assignment = new Map<number, string>()
  const give = (index: number, operator: string) => {
    assignment.set(index, operator)
    counts.set(operator, (counts.get(operator) ?? 0) + 1)
  }
  const roomLeft = (operator: string) => (room.get(operator) ?? 0) - (counts.get(operator) ?? 0)

  for (const [index, operator] of current) if (roomLeft(operator) > 0) give(index, operator)
  const active = keepers.map(({ operator }) => operator).filter((operator) => counts.has(operator))
  const waiting = keepers.map(({ operator }) => operator).filter((operator) => !counts.has(operator))
  const enough = limit > 0 ? Math.ceil(shards / limit) + spare : 0
  while (active.length < enough && waiting.length > 0) active.push(...waiting.splice(0, 1))

  for (let index = 0; index < shards; index++) {
    if (assignment.has(index)) continue
    if (!active.some((operator) => roomLeft(operator) > 0)) {
      const next = waiting.findIndex((operator) => roomLeft(operator) > 0)
      if (next === -1) return undefined
      active.push(...waiting.splice(next, 1))
    }
    const [first, ...others] = active.filter((operator) => roomLeft(operator) > 0)
    if (first === undefined) return undefined
    const fewest = others.reduce(
      (best, operator) => ((counts.get(operator) ?? 0) < (counts.get(best) ?? 0) ? operator : best),
      first,
    )
    give(index, fewest)
  }
  return assignment
}
