import type { AnyDuty } from '../../kernel/duty.ts'
import type { DaConfig } from '../config.ts'
import type { DaService } from '../service.ts'
import { answerDraw } from './answer-draw.ts'
import { claimPay } from './claim-pay.ts'
import { disperse } from './disperse.ts'
import { disputeCells } from './dispute-cells.ts'
import { disputeHeaders } from './dispute-headers.ts'
import { formEpoch } from './form-epoch.ts'
import { joinCommittee } from './join-committee.ts'
import { moveTail } from './move-tail.ts'
import { openRound } from './open-round.ts'
import { pruneExpired } from './prune-expired.ts'
import { punish } from './punish.ts'
import { refundUnconfirmed } from './refund-unconfirmed.ts'
import { repairColumns } from './repair-columns.ts'
import { reportMiss } from './report-miss.ts'
import { scrub } from './scrub.ts'

/** Every obligation of a DA agent, the urgent ones first. */
export function daDuties(config: DaConfig): AnyDuty<DaService>[] {
  return [
    answerDraw,
    openRound,
    formEpoch,
    disperse,
    disputeHeaders,
    disputeCells,
    reportMiss,
    punish,
    repairColumns(config),
    ...(config.DA_JOIN ? [joinCommittee] : []),
    refundUnconfirmed,
    claimPay(config),
    moveTail,
    scrub(config),
    pruneExpired,
  ]
}
