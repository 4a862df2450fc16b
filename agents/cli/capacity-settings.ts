import { mkdirSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { formatBytes } from './format.ts'
import type { Output } from './output.ts'
import type { Session } from './session.ts'

/** What an operator who keeps other people's data chooses. */
export type CapacityChoice = { capacity?: number }

const DEFAULT_CAPACITY_BYTES = 100e9

/** The variable that says how much an agent keeps; warns when the disk has no room for it. */
export async function capacitySettings(
  { config }: Session,
  output: Output,
  { capacity, dataDir }: CapacityChoice & { dataDir: string },
): Promise<Record<string, string>> {
  const capacityBytes = capacity ?? config.CAPACITY_BYTES ?? DEFAULT_CAPACITY_BYTES
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const { bavail, bsize } = await statfs(dataDir)
  const freeBytes = bavail * bsize
  if (freeBytes < capacityBytes) {
    output.note(
      `disk        only ${formatBytes(freeBytes)} free for a capacity of ${formatBytes(capacityBytes)}: consider --capacity`,
    )
  }
  return { CAPACITY_BYTES: String(capacityBytes) }
}
