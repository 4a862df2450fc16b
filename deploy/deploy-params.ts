import type { BaseWallet } from 'ethers'

/** Everything that the constructors take, in the units of the contracts: blocks, periods, basis points, wei. */
export type DeployParams = {
  beacon: { periodBlocks: number; epochPeriods: number; usesBlockHash: boolean }
  /** `treasury` zero: what a slash leaves is burned. */
  staking: { exitDelayEpochs: number; maxCommissionStepBps: number; treasury: string }
  streams: { bucketPeriods: number; lockPeriods: number }
  prover: {
    targetDraws: number
    windowBlocks: number
    slashFactor: number
    maxStrikes: number
    strikeWindowPeriods: number
    reporterBps: number
  }
  market: {
    defaultTermPeriods: number
    minTermPeriods: number
    maxTermPeriods: number
    sealDeadlineBlocks: number
    potBps: number
    faultTolerance: number
    parityBondWei: bigint
  }
  listPriceWei: bigint
  da: DaDeployParams
  compute: ComputeDeployParams
}

/** The numbers of compute, in seconds and wei; `inference` and `jobs` have the fields of their contracts' parameter structs. */
export type ComputeDeployParams = {
  ledger: { minAccountWei: bigint; minTransferWei: bigint }
  inference: {
    minProviderStakeWei: bigint
    faultSlashWei: bigint
    defaultDailyCapWei: bigint
    lockSec: number
    noticeSec: number
    challengeSec: number
    answerSec: number
    userBps: number
  }
  jobs: {
    bondBps: number
    arbiterBps: number
    stepBps: number
    challengeSec: number
    arbiterSec: number
    minWorkSec: number
    maxDurationSec: number
    minBondWei: bigint
  }
  /** From the settlement to the last moment of a slash for it. */
  faultWindowBlocks: number
}

/** The numbers of data availability; fields are those of the contracts' parameter structs. */
export type DaDeployParams = {
  committee: { minStakeWei: bigint; repayGas: number }
  /** `bucketPeriods` is that of the storage streams: one clock for all. */
  blobs: {
    pricePerBlobPeriodWei: bigint
    bondWei: bigint
    softColumns: number
    softAdversary: number
    finalColumns: number
    finalAdversary: number
    confirmBlocks: number
    minRetentionPeriods: number
    maxRetentionPeriods: number
    disputePeriods: number
    maintenanceBps: number
    unconfirmedBps: number
  }
  prover: {
    targetDraws: number
    windowBlocks: number
    missSlashBps: number
    strikeWindowPeriods: number
    reporterBps: number
    bountyWei: bigint
  }
  court: { attesterSlashBps: number; reporterBps: number }
}

/** What the probes measured of a chain; `blockSec` is the mean time between blocks, in seconds. */
export type Measured = { blockSec: number; prevRandaoVaries: boolean }

/** Where the sources of the contracts can be published; `none` for chains without an explorer. */
export type Explorer =
  | { kind: 'none' }
  | { kind: 'sourcify' }
  | { kind: 'etherscan'; url: string; apiUrl: string }

/** A network as `deploy/params/<name>.ts` describes it. */
export type NetworkParams = {
  name: string
  chainId: number
  /** A real network costs real money: it asks before sending and waits for more blocks. */
  live: boolean
  /** Blocks that hold a transaction, its own included, before the next step relies on it. */
  confirmations: number
  explorer: Explorer
  /** Sends the compute contracts in the deployer's place: public clients know the addresses that it makes. */
  computeSigner?: BaseWallet
  resolve(measured: Measured): DeployParams
}
