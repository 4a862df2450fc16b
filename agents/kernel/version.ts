import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'

const manifest = z.object({ name: z.string(), version: z.string() })

/** The version of this software, from the package.json above this file (sources and build lie at different depths). */
export function readVersion(from: string = import.meta.dirname): string {
  const path = join(from, 'package.json')
  if (existsSync(path)) {
    const found = manifest.safeParse(JSON.parse(readFileSync(path, 'utf8')))
    if (found.success) return found.data.version
  }
  const parent = dirname(from)
  return parent === from ? 'unknown' : readVersion(parent)
}
