import type { AnyDuty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import { answerDemand } from './answer-demand.ts'
import { listService } from './list-service.ts'
import { pruneReceipts } from './prune-receipts.ts'
import { raiseCeiling } from './raise-ceiling.ts'
import { releaseHeld } from './release-held.ts'
import { settleFees } from './settle-fees.ts'
import { withdrawEarnings } from './withdraw-earnings.ts'

/** Every obligation of a compute provider, the urgent ones first. */
export function computeDuties(config: ComputeConfig): AnyDuty<ComputeContext>[] {
  return [
    answerDemand,
    raiseCeiling(config),
    settleFees(config),
    listService,
    releaseHeld,
    withdrawEarnings(config),
    pruneReceipts(config),
  ]
}
