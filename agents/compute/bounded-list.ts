import { z } from 'zod'

/** A list of at most `most` items. Its length is looked at before any item: a check of each of millions would stop the agent. */
export function boundedList<S extends z.ZodType>(item: S, most: number) {
  const problem = `a list of at most ${most}`
  return z
    .custom<readonly unknown[]>((value) => Array.isArray(value) && value.length <= most, problem)
    .pipe(z.array(item))
}

/** An object of at most `most` entries, under names of at most 256 characters. */
export function boundedRecord<S extends z.ZodType>(item: S, most: number) {
  const isSmall = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    let count = 0
    for (const _ in value) if (++count > most) return false
    return true
  }
  return z
    .custom<Record<string, unknown>>(isSmall, `an object of at most ${most} entries`)
    .pipe(z.record(z.string().max(256), item))
}
