import type { AnyDuty } from '../../kernel/duty.ts'
import type { StorageConfig } from '../config.ts'
import type { StorageContext } from '../context.ts'
import { answerDraw } from './answer-draw.ts'
import { claimPay } from './claim-pay.ts'
import { endDeal } from './end-deal.ts'
import { moveTail } from './move-tail.ts'
import { openRound } from './open-round.ts'
import { pruneEnded } from './prune-ended.ts'
import { reinstate } from './reinstate.ts'
import { repairShard } from './repair-shard.ts'
import { reportMiss } from './report-miss.ts'
import { scrub } from './scrub.ts'

/** Every obligation of a storage provider, the urgent ones first. */
export function storageDuties(config: StorageConfig): AnyDuty<StorageContext>[] {
  return [
    answerDraw,
    openRound,
    reportMiss,
    repairShard(config),
    reinstate,
    claimPay(config),
    moveTail,
    ...(config.END_DEALS ? [endDeal] : []),
    scrub(config),
    pruneEnded(),
  ]
}
