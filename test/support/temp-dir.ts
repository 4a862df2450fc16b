import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made = new Set<string>()
process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true })
})

/** Makes an empty folder that is removed when the process ends. */
export function tempDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'zerog-'))
  made.add(path)
  return path
}
