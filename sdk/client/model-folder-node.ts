import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Chain } from '../chain/connect.ts'
import { ZerogError } from '../protocol/errors.ts'
import { MAX_MANIFEST_BYTES, type ManifestFile, parseManifest } from '../protocol/model-manifest.ts'
import { downloadFile } from './download.ts'
import { type FileSink, memorySink } from './file-sink.ts'
import { createPathSink } from './file-sink-node.ts'
import { nodeTransport } from './http-node.ts'

/** A file of a model's folder: as a manifest names it, and where it is. */
export type FolderFile = { readonly path: string; readonly target: string; readonly bytes: number }

/**
 * The files of a model's folder, links to files among them, by name; hidden ones are left out. Error: COMPUTE_MODEL_INVALID
 * when the folder cannot be read.
 */
export async function listModelFolder(folder: string): Promise<FolderFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause) => {
    throw new ZerogError('COMPUTE_MODEL_INVALID', `the folder ${folder} cannot be read`, { cause })
  })
  const files: FolderFile[] = []
  for (const entry of entries) {
    const target = join(entry.parentPath, entry.name)
    const path = relative(folder, target).split(sep).join('/')
    if (path.split('/').some((part) => part.startsWith('.'))) continue
    const found = await stat(target)
    if (found.isFile()) files.push({ path, target, bytes: found.size })
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** SHA-256 of a file on disk, in hex without 0x. */
export async function hashFile(target: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(target), hash)
  return hash.digest('hex')
}

/** The files that a manifest in storage lists. Errors: COMPUTE_MODEL_INVALID, those of `downloadFile`. */
export async function readManifest({
  chain,
  root,
  signal,
}: {
  chain: Chain
  root: string
  signal: AbortSignal
}): Promise<ManifestFile[]> {
  const sink = memorySink()
  const target = limited(sink, MAX_MANIFEST_BYTES)
  await downloadFile({ chain, signal, transport: nodeTransport, root, sink: target })
  return parseManifest(new TextDecoder().decode(sink.bytes()))
}

/** What became of a file that the manifest lists. */
export type PulledFile = ManifestFile & { readonly isFetched: boolean; readonly seconds: number }

export declare namespace pullModelFolder {
  type Options = {
    chain: Chain
    /** Root of the manifest in storage. */
    root: string
    folder: string
    /** Replaces files that are there and differ; without it they are refused before anything is fetched. */
    overwrite: boolean
    onFile?: (file: PulledFile) => void
    onProgress?: (progress: { doneBytes: number; totalBytes: number }) => void
    signal: AbortSignal
  }
}

/**
 * Brings a model's folder from storage: files that are missing or changed are fetched, and each has the length and the hash
 * of the manifest. It may be repeated after any failure, and goes on.
 *
 * Errors: COMPUTE_MODEL_INVALID, FILE_EXISTS, those of `downloadFile`, ABORTED.
 */
export async function pullModelFolder(options: pullModelFolder.Options): Promise<PulledFile[]> {
  const { chain, root, folder, overwrite, onFile, onProgress, signal } = options
  const files = await readManifest({ chain, root, signal })
  const targetOf = ({ path }: ManifestFile) => join(folder, ...path.split('/'))
  const present = new Set<ManifestFile>()
  for (const file of files) {
    const state = await compare(targetOf(file), file)
    if (state === 'same') present.add(file)
    if (state === 'other' && !overwrite)
      throw new ZerogError('FILE_EXISTS', `${targetOf(file)} is another file already`)
  }
  const totalBytes = files.reduce((sum, file) => sum + file.bytes, 0)
  let doneBytes = 0
  const pulled: PulledFile[] = []
  for (const file of files) {
    signal.throwIfAborted()
    const seconds = present.has(file) ? 0 : await fetchFile(targetOf(file), file)
    const result = { ...file, isFetched: !present.has(file), seconds }
    doneBytes += file.bytes
    onProgress?.({ doneBytes, totalBytes })
    onFile?.(result)
    pulled.push(result)
  }
  return pulled

  async function fetchFile(target: string, file: ManifestFile): Promise<number> {
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    const { seconds } = await downloadFile({
      ...{ chain, signal, transport: nodeTransport, root: file.root },
      sink: limited(await createPathSink(target, { overwrite }), file.bytes),
      onProgress: ({ doneBytes: part }) => onProgress?.({ doneBytes: doneBytes + part, totalBytes }),
    })
    if ((await compare(target, file)) === 'same') return seconds
    await rm(target, { force: true })
    throw new ZerogError('COMPUTE_MODEL_INVALID', `${file.path} is not what its manifest says`, {
      meta: { root: file.root },
    })
  }
}

async function compare(
  target: string,
  { bytes, sha256 }: ManifestFile,
): Promise<'same' | 'other' | 'missing'> {
  const found = await stat(target).catch(() => undefined)
  if (found === undefined) return 'missing'
  return found.size === bytes && (await hashFile(target)) === sha256 ? 'same' : 'other'
}

/** What is longer than it says must not fill the memory or the disk. */
function limited(sink: FileSink, mostBytes: number): FileSink {
  return {
    ...sink,
    write: async (offset, bytes) => {
      if (offset + bytes.length > mostBytes)
        throw new ZerogError('COMPUTE_MODEL_INVALID', `a file of the model is over ${mostBytes} bytes`)
      await sink.write(offset, bytes)
    },
  }
}
