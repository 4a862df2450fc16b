import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'

/** By how much the clocks of machine and chain may differ. */
const SPARE_SEC = 3600

/** Forgets receipts that are settled and that nobody can demand any more. */
export function pruneReceipts(config: ComputeConfig): Duty<{ beforeMs: number }, ComputeContext> {
  return {
    name: 'prune-receipts',
    everyBlocks: 256,
    local: true,

    async due({ chain }) {
      // From when the chain had them on, they may be demanded this long.
      const { challengeSec, answerSec } = chain.computeTerms
      const keepSec = Math.max(config.RECEIPT_KEEP_SEC, Number(challengeSec + answerSec) + SPARE_SEC)
      return [{ beforeMs: Date.now() - keepSec * 1000 }]
    },

    id: () => 'prune-receipts',

    async perform({ beforeMs }, { receipts, log }) {
      const count = receipts.prune(beforeMs)
      if (count > 0) log.info({ count }, 'receipts forgotten')
    },
  }
}
