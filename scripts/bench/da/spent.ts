/** What some work took: wall time, and processor time of all threads of this process. */
export type Spent = { readonly wallSec: number; readonly cpuSec: number }

/** Runs `work` and says what it took. Processor time means little unless nothing else runs in this process. */
export async function spent(work: () => unknown): Promise<Spent> {
  const startedMs = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { wallSec: (performance.now() - startedMs) / 1000, cpuSec: (user + system) / 1e6 }
}

/**
 * Runs all `works` in turn, `rounds` times, and returns the least that each of them took: who else is on the machine disturbs them alike,
 * so their ratios hold where the times do not.
 */
export async function leastSpent<K extends string>(
  rounds: number,
  works: Readonly<Record<K, () => unknown>>,
): Promise<Record<K, Spent>> {
  const names = Object.keys(works) as K[]
  const least = Object.fromEntries(
    names.map((name) => [name, { wallSec: Number.POSITIVE_INFINITY, cpuSec: Number.POSITIVE_INFINITY }]),
  ) as Record<K, Spent>
  for (let round = 0; round < rounds; round++)
    for (const name of names) {
      const { wallSec, cpuSec } = await spent(works[name])
      least[name] = {
        wallSec: Math.min(wallSec, least[name].wallSec),
        cpuSec: Math.min(cpuSec, least[name].cpuSec),
      }
    }
  return least
}
