import { createHash } from 'node:crypto'
import type { Signer } from 'ethers'
import type { Chain } from '../chain/connect.ts'
import { read } from '../chain/read.ts'
import { DEFAULT_PARITY } from '../protocol/deal-price.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { formatManifest, MAX_MANIFEST_BYTES, type ManifestFile } from '../protocol/model-manifest.ts'
import { bytesSource, type FileSource } from './file-source.ts'
import { openPathSource } from './file-source-node.ts'
import { findSealedFile } from './find-deal.ts'
import { nodeTransport } from './http-node.ts'
import { hashFile, listModelFolder } from './model-folder-node.ts'
import { type HashPool, prepareFile } from './prepare.ts'
import { createHashPool } from './prepare-pool-node.ts'
import type { DealWish } from './price.ts'
import type { StateStore } from './state-store.ts'
import { type UploadProgress, uploadFile } from './upload.ts'

/** A file in storage. `isNew` tells whether it was stored now; `feeWei` is 0 when it was there, or paid for before. */
export type StoredFile = {
  readonly root: string
  readonly txSeq: bigint
  readonly isNew: boolean
  readonly feeWei: bigint
  /** First period that its deal does not cover. */
  readonly expiresAt: bigint
}

/** A model's folder in storage; amounts in wei, without gas. */
export type PublishedFolder = {
  readonly manifestRoot: string
  readonly files: readonly (ManifestFile & StoredFile)[]
  readonly manifest: StoredFile
  readonly bytes: number
  readonly feeWei: bigint
}

/** How far it is: a file begins, its upload goes on, or it is stored. */
export type PublishModelProgress =
  | { readonly stage: 'file'; readonly path: string; readonly bytes: number }
  | { readonly stage: 'upload'; readonly path: string; readonly progress: UploadProgress }
  | { readonly stage: 'stored'; readonly path: string; readonly stored: StoredFile }

export declare namespace publishModelFolder {
  type Options = DealWish & {
    chain: Chain
    signer: Signer
    folder: string
    /** Where payments are recorded, so that none is made twice. */
    stateStore: StateStore
    onProgress?: (progress: PublishModelProgress) => void
    signal: AbortSignal
  }
}

/** What the manifest goes by in progress reports. */
const MANIFEST_NAME = 'manifest'

/**
 * Stores every file of a model's folder, then the manifest that lists them. It may be repeated after any failure: what is
 * stored already, by whomever, and has half of its term before it, is used and not paid for again.
 *
 * One file follows the other, since each payment is recorded with its nonce before it is sent.
 *
 * Errors: COMPUTE_MODEL_INVALID when a manifest cannot name these files; those of `uploadFile`.
 */
export async function publishModelFolder(options: publishModelFolder.Options): Promise<PublishedFolder> {
  const { folder, onProgress } = options
  const found = await listModelFolder(folder)
  checkNames(found)
  const files: (ManifestFile & StoredFile)[] = []
  for (const { path, target, bytes } of found) {
    onProgress?.({ stage: 'file', path, bytes })
    const sha256 = await hashFile(target)
    const source = await openPathSource(target)
    const stored = await storeOnce(options, { path, source, openPool: () => createHashPool(source) }).finally(
      source.close,
    )
    // Between the two readings the file may have become another one.
    if ((await hashFile(target)) !== sha256)
      throw new ZerogError('FILE_CHANGED', `${target} changed while it was stored`)
    files.push({ path, bytes, sha256, ...stored })
  }
  const manifestBytes = new TextEncoder().encode(formatManifest(files))
  if (manifestBytes.length > MAX_MANIFEST_BYTES)
    throw new ZerogError('COMPUTE_MODEL_INVALID', 'the folder has too many files for a manifest')
  onProgress?.({ stage: 'file', path: MANIFEST_NAME, bytes: manifestBytes.length })
  const manifest = await storeOnce(options, { path: MANIFEST_NAME, source: bytesSource(manifestBytes) })
  return {
    manifestRoot: manifest.root,
    files,
    manifest,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    feeWei: files.reduce((sum, file) => sum + file.feeWei, manifest.feeWei),
  }
}

/** Names, number and lengths are those of the files: so a folder that no manifest can list costs nothing. */
function checkNames(files: readonly { path: string; bytes: number }[]): void {
  const nothing = { root: `0x${'00'.repeat(32)}`, sha256: createHash('sha256').digest('hex') }
  formatManifest(files.map(({ path, bytes }) => ({ path, bytes, ...nothing })))
}

async function storeOnce(
  { chain, signer, stateStore, onProgress, signal, ...options }: publishModelFolder.Options,
  { path, source, openPool }: { path: string; source: FileSource; openPool?: () => HashPool },
): Promise<StoredFile> {
  const wish = {
    ...(options.parityShards === undefined ? {} : { parityShards: options.parityShards }),
    ...(options.termPeriods === undefined ? {} : { termPeriods: options.termPeriods }),
  }
  const report = (progress: UploadProgress) => onProgress?.({ stage: 'upload', path, progress })
  const root = await rootOf()
  const earlier = await findStored(chain, root, { ...wish, signal })
  const stored = earlier ?? (await upload())
  onProgress?.({ stage: 'stored', path, stored })
  return stored

  async function rootOf(): Promise<string> {
    const pool = openPool?.()
    try {
      const parityShards = wish.parityShards ?? DEFAULT_PARITY
      const prepared = await prepareFile({
        ...{ source, parityShards, signal },
        onProgress: (progress) => report({ stage: 'prepare', ...progress }),
        ...(pool === undefined ? {} : { pool }),
      })
      return prepared.root
    } finally {
      await pool?.close()
    }
  }

  async function upload(): Promise<StoredFile> {
    const pool = openPool?.()
    try {
      const { txSeq, feeWei, expiresAt, resumed } = await uploadFile({
        ...{ ...wish, chain, signer, source, stateStore, signal, transport: nodeTransport },
        onProgress: report,
        ...(pool === undefined ? {} : { pool }),
      })
      return { root, txSeq, isNew: true, feeWei: resumed ? 0n : feeWei, expiresAt }
    } finally {
      await pool?.close()
    }
  }
}

/** A deal that has this root and half of the term still before it; undefined when there is none. */
async function findStored(
  chain: Chain,
  root: string,
  { termPeriods = chain.terms.defaultTermPeriods, signal }: DealWish & { signal: AbortSignal },
): Promise<StoredFile | undefined> {
  try {
    const { txSeq, state, deal } = await findSealedFile(chain, { root }, { signal })
    const period = await read(chain.contracts.beacon.currentPeriod(), { signal })
    if (state !== 'sealed' || deal.endPeriod < period + termPeriods / 2n) return undefined
    return { root, txSeq, isNew: false, feeWei: 0n, expiresAt: deal.endPeriod }
  } catch (error) {
    const code = errorCode(error)
    if (code === 'UNKNOWN_ROOT' || code === 'NOT_SEALED' || code === 'DEAL_REFUNDED') return undefined
    throw error
  }
}
