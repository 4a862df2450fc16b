import type { AnyDuty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import { answerDemand } from './answer-demand.ts'
import { answerDispute } from './answer-dispute.ts'
import { bidJob } from './bid-job.ts'
import { closeJob } from './close-job.ts'
import { deliverJob } from './deliver-job.ts'
import { endReleases } from './end-releases.ts'
import { listService } from './list-service.ts'
import { pruneReceipts } from './prune-receipts.ts'
import { raiseCeiling } from './raise-ceiling.ts'
import { releaseHeld } from './release-held.ts'
import { settleFees } from './settle-fees.ts'
import { withdrawEarnings } from './withdraw-earnings.ts'
import { withdrawJobCredit } from './withdraw-job-credit.ts'
import { workJob } from './work-job.ts'

/** Every obligation of a compute provider, the urgent ones first. */
export function computeDuties(config: ComputeConfig): AnyDuty<ComputeContext>[] {
  return [
    answerDemand,
    answerDispute,
    deliverJob,
    workJob,
    raiseCeiling(config),
    settleFees(config),
    endReleases(),
    listService,
    bidJob(config),
    closeJob,
    releaseHeld,
    withdrawEarnings(config),
    withdrawJobCredit(config),
    pruneReceipts(config),
  ]
}
