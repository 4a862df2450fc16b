import { id } from 'ethers'
import {
  IInferenceServing__factory,
  IJobEscrow__factory,
  ILedgerManager__factory,
  IModelRegistry__factory,
} from '../../typechain-types/factories/interfaces/index.js'
import type {
  IInferenceServing,
  IJobEscrow,
  ILedgerManager,
  IModelRegistry,
} from '../../typechain-types/interfaces/index.js'
import { ZerogError } from '../protocol/errors.ts'
import { COMPUTE_CONTRACT_NAMES, type ComputeContractName } from './address-book.ts'
import type { Chain } from './connect.ts'
import { type ReadOptions, read } from './read.ts'

/** Service id of compute in the operator registry: keccak256("compute"). */
export const COMPUTE_SERVICE = id('compute')

/** The typed contracts of compute, and where each stands (checksummed). */
export type ComputeContracts = {
  readonly ledger: ILedgerManager
  readonly inference: IInferenceServing
  readonly models: IModelRegistry
  readonly jobs: IJobEscrow
  readonly addresses: Readonly<Record<Exclude<ComputeContractName, 'InferenceCatalog'>, string>>
}

/** Parameters of compute, fixed at deployment. Times in seconds, amounts in wei. */
export type ComputeTerms = {
  readonly minProviderStakeWei: bigint
  readonly faultSlashWei: bigint
  readonly defaultDailyCapWei: bigint
  /** How old a receipt may be when it is settled. */
  readonly graceSec: bigint
  readonly noticeSec: bigint
  readonly challengeSec: bigint
  readonly answerSec: bigint
}

/** A chain with compute: what every function about inference takes first. */
export type ComputeChain = Chain & { readonly compute: ComputeContracts; readonly computeTerms: ComputeTerms }

/**
 * Adds the contracts of compute to a connected chain and reads their fixed parameters.
 *
 * Errors: ADDRESS_BOOK_INVALID when the address book names none of them; RPC_UNREACHABLE; TIMEOUT; ABORTED.
 */
export async function connectCompute(
  chain: Chain,
  options: Pick<ReadOptions, 'signal' | 'timeoutMs'> = {},
): Promise<ComputeChain> {
  const { LedgerManager, InferenceServing, ModelRegistry, JobEscrow } = chain.book.contracts
  if (!LedgerManager || !InferenceServing || !ModelRegistry || !JobEscrow) {
    const issues = COMPUTE_CONTRACT_NAMES.filter((name) => chain.book.contracts[name] === undefined)
    const message = `the address book names no ${issues.join(', ')}: it is older than compute; deploy again`
    throw new ZerogError('ADDRESS_BOOK_INVALID', message, { meta: { issues } })
  }
  const compute: ComputeContracts = {
    ledger: ILedgerManager__factory.connect(LedgerManager.address, chain.provider),
    inference: IInferenceServing__factory.connect(InferenceServing.address, chain.provider),
    models: IModelRegistry__factory.connect(ModelRegistry.address, chain.provider),
    jobs: IJobEscrow__factory.connect(JobEscrow.address, chain.provider),
    addresses: {
      LedgerManager: LedgerManager.address,
      InferenceServing: InferenceServing.address,
      ModelRegistry: ModelRegistry.address,
      JobEscrow: JobEscrow.address,
    },
  }
  const params = await read(compute.inference.params(), options)
  const { minProviderStakeWei, faultSlashWei, defaultDailyCapWei, noticeSec, challengeSec, answerSec } =
    params
  const computeTerms = {
    minProviderStakeWei,
    faultSlashWei,
    defaultDailyCapWei,
    graceSec: params.lockSec,
    noticeSec,
    challengeSec,
    answerSec,
  }
  return { ...chain, compute, computeTerms }
}
