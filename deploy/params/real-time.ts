import { ZeroAddress } from 'ethers'
import type { DeployParams, Measured } from '../deploy-params.ts'
import { DA_QUORUMS } from './da-quorums.ts'

const DAY_SEC = 86_400
const PERIOD_SEC = 3_600
const WINDOW_SEC = 600
const SEAL_DEADLINE_SEC = 7_200

/** A month of its pay stands behind a custody: so a slash deters down to about 0.01 % of the network (README). */
const LOCK_DAYS = 30

/** Rollups dispute for a week, AnyTrust's data lives for fifteen days, PeerDAS's for eighteen. */
const MAX_RETENTION_DAYS = 18
const MIN_RETENTION_DAYS = 1
const DISPUTE_DAYS = 2
/** Whoever attested a blob can be slashed until its disputes end: its retention, the dispute window, and a day for the epoch. */
const EXIT_DELAY_DAYS = MAX_RETENTION_DAYS + DISPUTE_DAYS + 1
const CONFIRM_SEC = 1_800

/** A day each: a user who looks once a day misses no price, no window, and no refund. */
const CHALLENGE_SEC = DAY_SEC
const ANSWER_SEC = DAY_SEC / 2

/** A job may take a week; whoever decides a dispute has three days, since he reads the output for it. */
const MAX_JOB_SEC = 7 * DAY_SEC
const MIN_JOB_SEC = 600
const ARBITER_SEC = 3 * DAY_SEC

/** Fewer blocks would not leave an agent time for a retry on a chain with slow blocks. */
const MIN_WINDOW_BLOCKS = 50

/** What differs between networks that keep real time. */
export type Prices = {
  targetDraws: number
  parityBondWei: bigint
  listPriceWei: bigint
  da: {
    targetDraws: number
    minStakeWei: bigint
    bondWei: bigint
    pricePerBlobPeriodWei: bigint
    bountyWei: bigint
  }
  compute: {
    minAccountWei: bigint
    minTransferWei: bigint
    minProviderStakeWei: bigint
    faultSlashWei: bigint
    defaultDailyCapWei: bigint
    minBondWei: bigint
  }
}

/**
 * Parameters of a network that keeps real time, its block counts derived from the measured block time: hourly periods of
 * at least three windows (pin, answer, report) of about ten minutes each, daily epochs and expiry buckets.
 */
export function realTimeParams({ blockSec, prevRandaoVaries }: Measured, prices: Prices): DeployParams {
  const blocks = (seconds: number) => Math.max(1, Math.round(seconds / blockSec))
  const windowBlocks = Math.max(MIN_WINDOW_BLOCKS, blocks(WINDOW_SEC))
  const periodBlocks = Math.max(3 * windowBlocks, blocks(PERIOD_SEC))
  const dayPeriods = Math.max(1, Math.round(DAY_SEC / (periodBlocks * blockSec)))
  return {
    beacon: { periodBlocks, epochPeriods: dayPeriods, usesBlockHash: !prevRandaoVaries },
    staking: { exitDelayEpochs: EXIT_DELAY_DAYS, maxCommissionStepBps: 1_000, treasury: ZeroAddress },
    streams: { bucketPeriods: dayPeriods, lockPeriods: LOCK_DAYS * dayPeriods },
    prover: {
      targetDraws: prices.targetDraws,
      windowBlocks,
      slashFactor: 4,
      maxStrikes: 3,
      strikeWindowPeriods: 7 * dayPeriods,
      reporterBps: 1_000,
    },
    market: {
      defaultTermPeriods: 365 * dayPeriods,
      minTermPeriods: 30 * dayPeriods,
      maxTermPeriods: 3_650 * dayPeriods,
      sealDeadlineBlocks: blocks(SEAL_DEADLINE_SEC),
      potBps: 1_000,
      faultTolerance: 2,
      parityBondWei: prices.parityBondWei,
    },
    listPriceWei: prices.listPriceWei,
    da: {
      committee: { minStakeWei: prices.da.minStakeWei, repayGas: 8_000_000 },
      blobs: {
        ...DA_QUORUMS,
        pricePerBlobPeriodWei: prices.da.pricePerBlobPeriodWei,
        bondWei: prices.da.bondWei,
        confirmBlocks: blocks(CONFIRM_SEC),
        minRetentionPeriods: MIN_RETENTION_DAYS * dayPeriods,
        maxRetentionPeriods: MAX_RETENTION_DAYS * dayPeriods,
        disputePeriods: DISPUTE_DAYS * dayPeriods,
      },
      prover: {
        targetDraws: prices.da.targetDraws,
        windowBlocks,
        missSlashBps: 100,
        strikeWindowPeriods: 7 * dayPeriods,
        reporterBps: 1_000,
        bountyWei: prices.da.bountyWei,
      },
      court: { attesterSlashBps: 5_000, reporterBps: 1_000 },
    },
    compute: {
      ledger: { minAccountWei: prices.compute.minAccountWei, minTransferWei: prices.compute.minTransferWei },
      inference: {
        minProviderStakeWei: prices.compute.minProviderStakeWei,
        faultSlashWei: prices.compute.faultSlashWei,
        defaultDailyCapWei: prices.compute.defaultDailyCapWei,
        lockSec: DAY_SEC,
        noticeSec: DAY_SEC,
        challengeSec: CHALLENGE_SEC,
        answerSec: ANSWER_SEC,
        userBps: 5_000,
      },
      jobs: {
        bondBps: 1_000,
        arbiterBps: 2_000,
        stepBps: 100,
        challengeSec: CHALLENGE_SEC,
        arbiterSec: ARBITER_SEC,
        minWorkSec: MIN_JOB_SEC,
        maxDurationSec: MAX_JOB_SEC,
        minBondWei: prices.compute.minBondWei,
      },
      faultWindowBlocks: blocks(CHALLENGE_SEC + ANSWER_SEC),
    },
  }
}
