import { execFileSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { CHECKOUT } from '../../../agents/cli/checkout.ts'

/** The machine that a benchmark runs on, in words. */
export function machine(): string {
  const [cpu] = cpus()
  const memoryGib = Math.round(totalmem() / 1024 ** 3)
  return `${cpus().length} x ${cpu?.model.trim() ?? 'unknown CPU'}, ${memoryGib} GiB, Node ${process.version}`
}

/** Processes that wanted a core during the last minute; well above the cores, wall times say little. */
export function load(): number {
  return loadavg()[0] ?? 0
}

/** The commit that was measured. */
export function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: CHECKOUT, encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
