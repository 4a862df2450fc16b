import { DATA_COLUMNS } from './cell-layout.ts'

/** Most columns that can be served of a blob that nobody can restore. */
const HIDDEN = DATA_COLUMNS - 1

/**
 * The chance that a blob which cannot be restored passes: at most `misses` of `samples` different columns, drawn at random from `population`
 * columns of which 63 are served, are not (hypergeometric, exact). 16 of 128 without a miss: 3.9e-6.
 */
export function foolChance({
  population,
  samples,
  misses,
}: {
  population: number
  samples: number
  misses: number
}): number {
  const gone = Math.max(0, population - HIDDEN)
  let ways = 0n
  for (let missed = 0; missed <= Math.min(misses, samples); missed++)
    ways += choose(gone, missed) * choose(population - gone, samples - missed)
  return ratio(ways, choose(population, samples))
}

/**
 * The fewest samples that, with at most `misses` misses, are passed by a hidden blob with a chance of at most `chance`; undefined when even
 * all columns do not suffice.
 */
export function samplesFor({
  population,
  misses,
  chance,
}: {
  population: number
  misses: number
  chance: number
}): number | undefined {
  for (let samples = misses + 1; samples <= population; samples++)
    if (foolChance({ population, samples, misses }) <= chance) return samples
  return undefined
}

/** `count` different members of `items` in random order, by secret randomness: nobody can know which will be asked for. */
export function drawRandom<T>(items: readonly T[], count = items.length): T[] {
  const rest = [...items]
  const drawn: T[] = []
  while (drawn.length < count && rest.length > 0) drawn.push(...rest.splice(randomBelow(rest.length), 1))
  return drawn
}

/** A uniform secret number below `bound`, which is at most 2^16. */
function randomBelow(bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound)
  const word = new Uint32Array(1)
  for (;;) {
    const [value = limit] = crypto.getRandomValues(word)
    if (value < limit) return value % bound
  }
}

function choose(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n
  let result = 1n
  for (let i = 0; i < k; i++) result = (result * BigInt(n - i)) / BigInt(i + 1)
  return result
}

/** a / b as a number, good to 15 digits whatever their sizes. */
function ratio(a: bigint, b: bigint): number {
  if (a === 0n) return 0
  // Both are brought to 64 bits, which a number still tells apart.
  const shift = (value: bigint) => Math.max(0, value.toString(2).length - 64)
  const [shiftA, shiftB] = [shift(a), shift(b)]
  return (Number(a >> BigInt(shiftA)) / Number(b >> BigInt(shiftB))) * 2 ** (shiftA - shiftB)
}
