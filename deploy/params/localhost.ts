import { parseEther, ZeroAddress } from 'ethers'
import type { NetworkParams } from '../deploy-params.ts'
import { devAccount } from '../dev-account.ts'
import { DA_QUORUMS } from './da-quorums.ts'

/** A development chain: periods of 24 blocks, so that a whole deal lives and ends within minutes. */
export const localhost: NetworkParams = {
  name: 'localhost',
  chainId: 31_337,
  live: false,
  confirmations: 1,
  explorer: { kind: 'none' },
  // Public clients know the contracts at the first addresses of account 0 on this chain id.
  computeSigner: devAccount(0),
  resolve: ({ prevRandaoVaries }) => ({
    beacon: { periodBlocks: 24, epochPeriods: 2, usesBlockHash: !prevRandaoVaries },
    staking: { exitDelayEpochs: 23, maxCommissionStepBps: 1_000, treasury: ZeroAddress },
    streams: { bucketPeriods: 5, lockPeriods: 64 },
    prover: {
      targetDraws: 24,
      windowBlocks: 8,
      slashFactor: 4,
      maxStrikes: 3,
      strikeWindowPeriods: 50,
      reporterBps: 1_000,
    },
    market: {
      defaultTermPeriods: 3_600,
      minTermPeriods: 5,
      maxTermPeriods: 100_000,
      sealDeadlineBlocks: 120,
      potBps: 1_000,
      faultTolerance: 2,
      parityBondWei: 10_000_000_000_000_000n,
    },
    listPriceWei: 1_000_000_000n,
    da: {
      committee: { minStakeWei: parseEther('1'), repayGas: 8_000_000 },
      blobs: {
        ...DA_QUORUMS,
        pricePerBlobPeriodWei: 10_000_000_000_000n,
        bondWei: parseEther('10'),
        confirmBlocks: 48,
        minRetentionPeriods: 4,
        maxRetentionPeriods: 40,
        disputePeriods: 4,
      },
      prover: {
        targetDraws: 16,
        windowBlocks: 8,
        missSlashBps: 100,
        strikeWindowPeriods: 50,
        reporterBps: 1_000,
        bountyWei: 1_000_000_000_000n,
      },
      court: { attesterSlashBps: 5_000, reporterBps: 1_000 },
    },
    compute: {
      ledger: { minAccountWei: parseEther('0.01'), minTransferWei: parseEther('0.001') },
      inference: {
        minProviderStakeWei: parseEther('10'),
        faultSlashWei: parseEther('1'),
        defaultDailyCapWei: parseEther('1'),
        // An agent settles within a quarter of it: five minutes, its default interval.
        lockSec: 1200,
        noticeSec: 60,
        challengeSec: 60,
        answerSec: 60,
        userBps: 5_000,
      },
      jobs: {
        bondBps: 1_000,
        arbiterBps: 2_000,
        stepBps: 100,
        challengeSec: 60,
        arbiterSec: 60,
        minWorkSec: 10,
        maxDurationSec: 86_400,
        minBondWei: parseEther('0.001'),
      },
      faultWindowBlocks: 120,
    },
  }),
}
