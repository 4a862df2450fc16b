import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ROOT, STATE_DIR } from './step.mjs'

const STAMPS_FILE = join(STATE_DIR, 'stamps.json')

function readStamps() {
  try {
    return JSON.parse(readFileSync(STAMPS_FILE, 'utf8'))
  } catch {
    return {} // absent or damaged: everything is redone
  }
}

export function stampOf(name) {
  return readStamps()[name]
}

/** Stores (or, with undefined, removes) a stamp; written aside and renamed, so a kill leaves the old file whole. */
export function setStamp(name, value) {
  const stamps = readStamps()
  if (value === undefined) delete stamps[name]
  else stamps[name] = value
  mkdirSync(STATE_DIR, { recursive: true })
  writeFileSync(`${STAMPS_FILE}.new`, `${JSON.stringify(stamps, null, 2)}\n`)
  renameSync(`${STAMPS_FILE}.new`, STAMPS_FILE)
}

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'artifacts', 'cache', '.git', '.zerog'])

/** All files below `path` (relative to the repository) whose name `keep` accepts, sorted. */
export function filesUnder(path, keep) {
  const full = join(ROOT, path)
  if (!existsSync(full)) return []
  if (statSync(full).isFile()) return [path]
  return readdirSync(full, { withFileTypes: true })
    .flatMap((entry) => {
      const child = `${path}/${entry.name}`
      if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : filesUnder(child, keep)
      return entry.isFile() && keep(entry.name) ? [child] : []
    })
    .sort()
}

/** One hash over the names and the bytes of the files. */
export function hashFiles(files) {
  const hash = createHash('sha256')
  for (const file of files) {
    if (!existsSync(join(ROOT, file))) continue
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(ROOT, file)))
      .update('\0')
  }
  return hash.digest('hex')
}
