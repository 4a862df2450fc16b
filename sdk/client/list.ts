import type { Chain } from '../chain/connect.ts'
import { addressTopic, eventsBackwards } from '../chain/logs.ts'
import { type ReadOptions, read } from '../chain/read.ts'
import { type DealState, readDeal, readDealState } from '../chain/storage.ts'
import { type FoundSubmission, findSubmission } from './find-deal.ts'

/** A file that an account has paid for; `endPeriod` is absent while it is not sealed. */
export type OwnedFile = Pick<FoundSubmission, 'txSeq' | 'root' | 'byteLength'> & {
  readonly state: DealState
  readonly submittedAt: bigint
  readonly endPeriod: bigint | undefined
}

/**
 * Files of an owner, newest first, read from the chain alone: those submitted under its own name, and those sealed or
 * refunded for it whatever name the submission carried. `limit` bounds how many are returned (default 100).
 *
 * Errors: RPC_UNREACHABLE, ABORTED.
 */
export async function listFiles(
  chain: Chain,
  {
    owner,
    limit = 100,
    ...limits
  }: { owner: string; limit?: number } & Pick<ReadOptions, 'signal' | 'timeoutMs'>,
): Promise<OwnedFile[]> {
  const toBlock = await read(chain.provider.getBlockNumber(), limits)
  const search = { fromBlock: chain.book.deployedAtBlock, toBlock, ...limits }
  const topic = addressTopic(owner)
  const found = new Set<bigint>()
  for await (const { args } of eventsBackwards(chain, { ...search, name: 'Submit', indexed: [topic] })) {
    found.add(args.submissionIndex)
    if (found.size >= limit) break
  }
  for (const name of ['Sealed', 'Refunded'] as const) {
    let seen = 0
    for await (const { args } of eventsBackwards(chain, { ...search, name, indexed: [null, topic] })) {
      found.add(args.txSeq)
      seen++
      if (seen >= limit) break
    }
  }
  const newest = [...found].sort((a, b) => (a > b ? -1 : 1))
  const files: OwnedFile[] = []
  for (const txSeq of newest) {
    if (files.length >= limit) break
    const { root, byteLength, record } = await findSubmission(chain, txSeq, limits)
    // The event repeats any name that its sender chose; the record has who paid.
    if (record.owner.toLowerCase() !== owner.toLowerCase()) continue
    const [state, deal] = await Promise.all([
      readDealState(chain, txSeq, limits),
      readDeal(chain, txSeq, limits),
    ])
    files.push({
      txSeq,
      root,
      byteLength,
      state,
      submittedAt: record.submittedAt,
      endPeriod: deal?.endPeriod,
    })
  }
  return files
}
