import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createPathSink } from '../../sdk/client/file-sink-node.ts'
import { findSealedFile } from '../../sdk/client/find-deal.ts'
import { downloadPath } from '../../sdk/client/paths-node.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ComputeContext } from './context.ts'

/** The files of one job: input as stored, answers so far, the whole output. */
export type JobFiles = {
  /** The input, verified against its root; fetched when it is not there. Errors: COMPUTE_INPUT_INVALID (too long), those of `downloadFile`. */
  input(root: string, signal: AbortSignal): Promise<Uint8Array>
  /** Appends answers at `offset`, durably. What lies beyond it was written and never counted, and is cut off. */
  append(offset: number, text: string): Promise<void>
  body(): Promise<Uint8Array>
  readonly outputPath: string
  writeOutput(bytes: Uint8Array): Promise<void>
  output(): Promise<Uint8Array>
  remove(): Promise<void>
}

export function jobFiles({ config, chain }: ComputeContext, jobId: bigint): JobFiles {
  const folder = join(config.DATA_DIR, 'jobs', String(jobId))
  const inputPath = join(folder, 'input.jsonl')
  const bodyPath = join(folder, 'answers.jsonl')
  const outputPath = join(folder, 'output')
  const makeFolder = () => mkdir(folder, { recursive: true, mode: 0o700 })

  return {
    outputPath,

    async input(root, signal) {
      // The file appears whole and verified, or not at all, and a job has one input for ever.
      const there = await readFile(inputPath).catch(() => undefined)
      if (there) return there
      const { layout } = await findSealedFile(chain, { root }, { signal })
      if (layout.byteLength > config.JOB_INPUT_BYTES)
        throw new ZerogError(
          'COMPUTE_INPUT_INVALID',
          `the input has ${layout.byteLength} bytes, more than the ${config.JOB_INPUT_BYTES} taken here`,
        )
      await makeFolder()
      await downloadPath({ chain, root, path: inputPath, overwrite: true, signal })
      return readFile(inputPath)
    },

    async append(offset, text) {
      await makeFolder()
      const handle = await open(bodyPath, offset === 0 ? 'w' : 'r+')
      try {
        await handle.truncate(offset)
        await handle.write(text, offset)
        await handle.sync()
      } finally {
        await handle.close()
      }
    },

    body: () => readFile(bodyPath),

    async writeOutput(bytes) {
      const sink = await createPathSink(outputPath, { overwrite: true })
      await sink.write(0, bytes)
      await sink.commit()
    },

    output: () => readFile(outputPath),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
