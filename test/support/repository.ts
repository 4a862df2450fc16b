import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : findRoot(dirname(folder))
}

/** Absolute path of the checkout, from the sources as well as from `dist`. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)))

const GENERATED = new Set(['node_modules', 'dist', 'artifacts', 'cache', 'typechain-types', '.git', '.zerog'])

/** Paths, relative to the checkout and with forward slashes, of all source files below `folder` with one of `endings`. */
export function sourceFiles(folder: string, endings: readonly string[]): string[] {
  const full = join(ROOT, folder)
  if (!existsSync(full)) return []
  return readdirSync(full, { withFileTypes: true })
    .flatMap((entry) => {
      const path = folder === '.' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) return GENERATED.has(entry.name) ? [] : sourceFiles(path, endings)
      return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : []
    })
    .sort()
}

export function readSource(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
