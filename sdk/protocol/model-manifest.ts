import { ZerogError } from './errors.ts'

/** One file of a model's folder as its manifest lists it. */
export type ManifestFile = {
  /** Relative to the folder, parts separated by `/`. */
  readonly path: string
  /** Merkle root in storage, 0x and 64 hex digits. */
  readonly root: string
  readonly bytes: number
  /** SHA-256 of the content, 64 hex digits without 0x. */
  readonly sha256: string
}

/** Longest manifest that is read. */
export const MAX_MANIFEST_BYTES = 1 << 20
const MAX_FILES = 1024
const PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** The manifest's bytes: the same list always gives the same ones, so that a model has one root. */
export function formatManifest(files: readonly ManifestFile[]): string {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1))
  const plain = sorted.map(({ path, root, bytes, sha256 }) => ({ path, root, bytes, sha256 }))
  const text = `${JSON.stringify(plain, undefined, 1)}\n`
  parseManifest(text)
  return text
}

/**
 * Reads a manifest. Paths stay within the folder and name nothing hidden. Error: COMPUTE_MODEL_INVALID with what is wrong.
 */
export function parseManifest(text: string): ManifestFile[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ZerogError('COMPUTE_MODEL_INVALID', 'the manifest is not JSON', { cause })
  }
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_FILES)
    throw invalid(`the manifest must list 1 to ${MAX_FILES} files`)
  const files = value.map(parseFile)
  const paths = new Set(files.map(({ path }) => path.toLowerCase()))
  if (paths.size !== files.length) throw invalid('the manifest names a file twice')
  return files
}

function parseFile(value: unknown): ManifestFile {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const { path, root, bytes, sha256 } = fields
  if (typeof path !== 'string' || path.length > 512 || !path.split('/').every((part) => PART.test(part)))
    throw invalid(`the manifest names a file ${JSON.stringify(path)}`)
  if (typeof root !== 'string' || !/^0x[0-9a-f]{64}$/.test(root)) throw invalid(`${path} has no root`)
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 1)
    throw invalid(`${path} has no length`)
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) throw invalid(`${path} has no sha256`)
  return { path, root, bytes, sha256 }
}

function invalid(message: string): ZerogError {
  return new ZerogError('COMPUTE_MODEL_INVALID', message)
}
