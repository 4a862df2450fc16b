import { type DownloadResult, downloadFile } from './download.ts'
import { createPathSink } from './file-sink-node.ts'
import { openPathSource } from './file-source-node.ts'
import { nodeTransport } from './http-node.ts'
import { createHashPool } from './prepare-pool-node.ts'
import { type UploadResult, uploadFile } from './upload.ts'

/** Stores a file on disk, hashing on all cores. Errors: FILE_MISSING and those of {@link uploadFile}. */
export async function uploadPath({
  path,
  ...options
}: Omit<uploadFile.Options, 'source' | 'pool'> & { path: string }): Promise<UploadResult> {
  const source = await openPathSource(path)
  const pool = createHashPool(source)
  try {
    return await uploadFile({ transport: nodeTransport, ...options, source, pool })
  } finally {
    await pool.close()
    await source.close()
  }
}

/** Reads a file to disk in one step: `path` appears complete and verified, or not at all. Errors: FILE_EXISTS, DISK_FULL and those of {@link downloadFile}. */
export async function downloadPath({
  path,
  overwrite = false,
  ...options
}: DistributedOmit<downloadFile.Options, 'sink'> & {
  path: string
  overwrite?: boolean
}): Promise<DownloadResult> {
  const sink = await createPathSink(path, { overwrite })
  return downloadFile({ transport: nodeTransport, ...options, sink })
}

/** Omit that keeps the alternatives of a union apart. */
type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
