import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Kills this process with SIGKILL, as a power cut would, when it stands at the point that a crash test names.
 *
 * A test seam: it does nothing unless `ZEROG_ALLOW_CRASH=1` and `ZEROG_CRASH_AT` equals `name`. It fires once per data
 * folder (a marker file remembers), so that the restarted process gets past the point.
 */
export function crashPoint(name: string, dataDir: string): void {
  if (process.env.ZEROG_ALLOW_CRASH !== '1' || process.env.ZEROG_CRASH_AT !== name) return
  try {
    closeSync(openSync(join(dataDir, `.crashed-at-${name}`), 'wx'))
  } catch {
    return
  }
  process.kill(process.pid, 'SIGKILL')
  // The signal may arrive a moment later; nothing after this line may run.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
}
