import { shortHex } from '../../agents/cli/format.ts'
import type { Output } from '../../agents/cli/output.ts'
import { CUSTOMER_ACCOUNT, devAccount } from '../../deploy/dev-account.ts'
import { createInference, type Inference, type VerifiedAnswer } from '../../sdk/client/inference.ts'
import type { PublishedModel } from '../devnet/publish-model.ts'
import type { ModelName } from '../devnet/serve-models.ts'
import type { Devnet } from '../devnet/start-devnet.ts'

/** What one provider did for the customer, and what it was paid. */
export type ComputePay = {
  provider: string
  name: string
  answers: number
  verifiedWei: bigint
  settledWei: bigint
}

/** What the steps of compute hand on to each other, and to the summary. */
export type ComputeStory = {
  readonly devnet: Devnet
  readonly output: Output
  readonly signal: AbortSignal
  readonly inference: Inference
  readonly models: Map<ModelName, PublishedModel>
  /** An agent's name. */
  readonly nameOf: (operator: string) => string
  /** Every answer that was verified. */
  readonly answers: VerifiedAnswer[]
  services?: number
  digits?: { images: number; right: number; seconds: number; predictions: number[] }
  chat?: { text: string; provider: string; tokens: number; firstTextMs: number; seconds: number }
  job?: {
    jobId: bigint
    provider: string
    lines: number
    units: bigint
    inputRoot: string
    outputRoot: string
    priceWei: bigint
  }
  /** Who was killed while it answered, once for each time. */
  readonly victims: string[]
  failover?: { killed: string; texts: number; code: string; answeredBy: string; tries: number }
  pay?: ComputePay[]
}

const DEPOSIT_WEI = 10n ** 18n
const TOP_UP_WEI = 10n ** 17n

/** Opens the network to the customer: it deposits one coin at most, and signs for what it uses. */
export function startComputeStory(options: Pick<ComputeStory, 'devnet' | 'output' | 'signal'>): ComputeStory {
  const { devnet } = options
  const inference = createInference({
    chain: devnet.chain,
    signer: devAccount(CUSTOMER_ACCOUNT, devnet.provider),
    depositWei: DEPOSIT_WEI,
    topUp: { targetWei: TOP_UP_WEI },
  })
  const nameOf = (operator: string) =>
    devnet.computeAgents.find(({ address }) => address === operator)?.name ?? shortHex(operator)
  return { ...options, inference, nameOf, models: new Map(), answers: [], victims: [] }
}
