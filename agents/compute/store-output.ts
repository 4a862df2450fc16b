import { join } from 'node:path'
import { bytesSource } from '../../sdk/client/file-source.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { folderStateStore } from '../../sdk/client/state-store-node.ts'
import { type UploadResult, uploadFile } from '../../sdk/client/upload.ts'
import type { ComputeContext } from './context.ts'

/** The deal lasts this much longer than asked for: the delivery comes after the seal, maybe after a restart. */
const SPARE_PERIODS = 16n

/**
 * Stores bytes in our storage, paid with the agent's key. However often it is repeated for a job, it pays once: the
 * payment stays recorded until the job is forgotten. Errors: those of `uploadFile`.
 */
export function storeForJob(
  { chain, sender, wallet, self, config }: ComputeContext,
  options: { jobId: bigint; bytes: Uint8Array; minPeriods: bigint; signal: AbortSignal },
): Promise<UploadResult> {
  const { jobId, bytes, minPeriods, signal } = options
  const payments = folderStateStore(join(config.DATA_DIR, 'jobs', String(jobId), 'payments'))
  const termPeriods = outputTerm(chain, minPeriods)
  return uploadFile({
    ...{ chain, signal, transport: nodeTransport, source: bytesSource(bytes) },
    ...(termPeriods === undefined ? {} : { termPeriods }),
    sender: {
      address: self,
      submit: ({ nonce: _, ...request }) => sender.submit(request),
      signMessage: (text) => wallet.signMessage(text),
    },
    stateStore: { ...payments, delete: async () => undefined },
  })
}

/** Periods that an output is stored for; undefined where what every deal lasts is enough. */
export function outputTerm({ terms }: ComputeContext['chain'], minPeriods: bigint): bigint | undefined {
  const neededPeriods = minPeriods + SPARE_PERIODS
  if (neededPeriods <= terms.defaultTermPeriods) return undefined
  return neededPeriods < terms.maxTermPeriods ? neededPeriods : terms.maxTermPeriods
}
