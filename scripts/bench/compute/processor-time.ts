import { readFileSync } from 'node:fs'

/** Linux counts in hundredths of a second, whatever the kernel's own clock is. */
const TICKS_PER_SEC = 100

/** Processor time that these processes have taken so far, all threads; undefined where the system does not say (Linux does). */
export function processorSec(pids: readonly number[]): number | undefined {
  try {
    return pids.reduce((sum, pid) => sum + ticksOf(pid) / TICKS_PER_SEC, 0)
  } catch {
    return undefined
  }
}

function ticksOf(pid: number): number {
  // The name of the process stands in parentheses and may hold spaces; utime and stime are fields 14 and 15.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}
