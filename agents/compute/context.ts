import type { Wallet } from 'ethers'
import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import type { KernelContext } from '../kernel/duty.ts'
import type { Accounts } from './accounts.ts'
import type { Admission } from './admission.ts'
import type { Billing } from './billing.ts'
import type { ComputeConfig } from './config.ts'
import type { FreeBook } from './free-book.ts'
import type { GateKeeper } from './gate-keeper.ts'
import type { HeldBook } from './held-book.ts'
import type { JobBook } from './job-book.ts'
import type { JobRunner } from './job-runner.ts'
import type { ComputeMetrics } from './metrics.ts'
import type { ModelRuntime } from './model-runtime.ts'
import type { ReceiptBook } from './receipt-book.ts'
import type { ReleaseBook } from './release-book.ts'
import type { SessionCheck } from './session-check.ts'
import type { VoucherBook } from './voucher-book.ts'

/** The parts of a compute agent that outlive a tick. */
export type ComputeParts = {
  readonly config: ComputeConfig
  readonly chain: ComputeChain
  readonly wallet: Wallet
  readonly runtime: ModelRuntime
  readonly accounts: Accounts
  readonly checkSession: SessionCheck
  readonly gate: GateKeeper
  readonly free: FreeBook
  readonly receipts: ReceiptBook
  readonly vouchers: VoucherBook
  readonly releases: ReleaseBook
  readonly held: HeldBook
  readonly jobs: JobBook
  readonly jobRunner: JobRunner
  readonly admission: Admission
  readonly bill: Billing
  readonly computeMetrics: ComputeMetrics
  /** Test seam of the kernel, bound to the data folder. */
  crashPoint(name: string): void
}

/** What every duty and route of a compute agent gets. */
export type ComputeContext = KernelContext & ComputeParts
