import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'

/** Forgets receipts that are settled and that nobody can demand any more. */
export function pruneReceipts(config: ComputeConfig): Duty<{ beforeMs: number }, ComputeContext> {
  return {
    name: 'prune-receipts',
    everyBlocks: 256,
    local: true,

    async due({ chain, held }) {
      // The receipts of a fee that is held may be demanded.
      if (held.open(1).length > 0) return []
      const { challengeSec, answerSec } = chain.computeTerms
      const keepSec = Math.max(config.RECEIPT_KEEP_SEC, Number(challengeSec + answerSec))
      return [{ beforeMs: Date.now() - keepSec * 1000 }]
    },

    id: () => 'prune-receipts',

    async perform({ beforeMs }, { receipts, log }) {
      const count = receipts.prune(beforeMs)
      if (count > 0) log.info({ count }, 'receipts forgotten')
    },
  }
}
