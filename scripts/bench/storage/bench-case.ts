/** One line of a benchmark: what was measured, what it must reach, and how it was measured. */
export type BenchCase = {
  readonly name: string
  readonly measured: string
  readonly reference: string
  /** Measured over reference, or the figure itself where there is none. */
  readonly figure: number
  readonly unit: string
  readonly target: string
  readonly isReached: boolean
  readonly details: Readonly<Record<string, number | string>>
}

export const MIB = 1024 * 1024

/** Seconds of `work`. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const startedMs = performance.now()
  await work()
  return (performance.now() - startedMs) / 1000
}

/** The best of several runs: the one that others on the machine disturbed least. */
export async function bestSeconds(runs: number, work: () => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) best = Math.min(best, await secondsOf(work))
  return best
}

/** `value` with three significant digits. */
export function shortNumber(value: number): string {
  return value >= 100 ? Math.round(value).toString() : value.toPrecision(3)
}
