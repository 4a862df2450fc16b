import { ZeroAddress, ZeroHash } from 'ethers'
import type { ComputeChain } from './compute-chain.ts'
import { isRevert } from './decode-error.ts'
import { at, type ReadOptions, read } from './read.ts'

/** What a user must hold to use a model, in the order of the contract. */
export const GATE_KINDS = ['none', 'erc20', 'erc721', 'erc1155'] as const
export type GateKind = (typeof GATE_KINDS)[number]

/** Why a gate is shut, in the order of the contract; `passed` also where there is none. */
export const GATE_REASONS = ['passed', 'balance-too-low', 'token-failed', 'not-token-owner'] as const
export type GateReason = (typeof GATE_REASONS)[number]

/** An access gate with its free quota: units per quota period that each provider serves without pay. */
export type ModelGate = {
  readonly kind: GateKind
  readonly token: string
  /** Of ERC-1155; else 0. */
  readonly tokenId: bigint
  /** In the token's smallest unit. */
  readonly minBalance: bigint
  readonly freeUnits: bigint
  readonly quotaPeriodBlocks: bigint
}

/** What the owner of a model says about it; hashes as 0x and 64 hex digits, floors in wei per unit. */
export type ModelTerms = {
  readonly manifestRoot: string
  /** `text-generation`, `embedding`, `classification`, … */
  readonly kind: string
  /** SPDX expression or URL. */
  readonly licence: string
  /** Highest layer at which an answer can be proved; 0: receipts only. */
  readonly verification: bigint
  readonly commitment: string
  readonly inputFloorWei: bigint
  readonly outputFloorWei: bigint
  readonly gate: ModelGate
}

/** A registered model; `version` counts its roots from 1. */
export type ModelRecord = {
  readonly modelId: string
  readonly owner: string
  /** To whom it is offered; the zero address for nobody. */
  readonly pendingOwner: string
  readonly registeredAtSec: bigint
  readonly updatedAtSec: bigint
  readonly version: bigint
  readonly terms: ModelTerms
}

/** A root that a model has or had. */
export type ModelVersion = {
  readonly manifestRoot: string
  readonly commitment: string
  readonly fromSec: bigint
}

/** Whose free units a request uses up: `subject` in the period that begins with `snapshotBlock`. */
export type ModelQuota = {
  readonly subject: string
  readonly snapshotBlock: bigint
  /** 0 where there is no free quota. */
  readonly freeUnits: bigint
  /** Whether the user may have it now; a gate that is not ERC-721 must also be passed in the snapshot's state. */
  readonly reason: GateReason
}

export const NO_GATE: ModelGate = {
  kind: 'none',
  token: ZeroAddress,
  tokenId: 0n,
  minBalance: 0n,
  freeUnits: 0n,
  quotaPeriodBlocks: 0n,
}

/** What `ModelTerms` needs at least is root, kind and licence: no floor, no gate, receipts only. */
export const OPEN_TERMS: Omit<ModelTerms, 'manifestRoot' | 'kind' | 'licence'> = {
  verification: 0n,
  commitment: ZeroHash,
  inputFloorWei: 0n,
  outputFloorWei: 0n,
  gate: NO_GATE,
}

type ModelStruct = Awaited<ReturnType<ComputeChain['compute']['models']['modelOf']>>

/** A gate as the contract takes it. */
export function gateStruct(gate: ModelGate) {
  return { ...gate, kind: GATE_KINDS.indexOf(gate.kind) }
}

/** The model of this name; undefined when nobody has registered it. */
export async function readModel(
  { compute: { models } }: ComputeChain,
  modelId: string,
  options: ReadOptions = {},
): Promise<ModelRecord | undefined> {
  try {
    return modelRecord(await read(models.modelOf(modelId, at(options)), options))
  } catch (error) {
    if (isRevert(error, 'ModelUnknown')) return undefined
    throw error
  }
}

/** A page of at most 50 models and their number: all in order of registration, or those of `owner`. */
export async function readModelPage(
  { compute: { models } }: ComputeChain,
  { offset, limit = 50, owner }: { offset: number; limit?: number; owner?: string | undefined },
  options: ReadOptions = {},
): Promise<{ models: ModelRecord[]; total: number }> {
  const pending =
    owner === undefined
      ? models.models(offset, limit, at(options))
      : models.modelsOf(owner, offset, limit, at(options))
  const { page, total } = await read(pending, options)
  return { models: page.map(modelRecord), total: Number(total) }
}

/** A root that a registered model has or had, `version` counted from 1. Error: TX_REVERTED when there is none. */
export async function readModelVersion(
  { compute: { models } }: ComputeChain,
  { modelId, version }: { modelId: string; version: bigint },
  options: ReadOptions = {},
): Promise<ModelVersion> {
  const { manifestRoot, commitment, fromSec } = await read(
    models.versionAt(modelId, version, at(options)),
    options,
  )
  return { manifestRoot, commitment, fromSec }
}

/** Whether `user` passes the gate of a model now; names that nobody registered have none. */
export async function readModelAccess(
  { compute: { models } }: ComputeChain,
  { modelId, user }: { modelId: string; user: string },
  options: ReadOptions = {},
): Promise<GateReason> {
  const { reason } = await read(models.canUse(modelId, user, at(options)), options)
  return reasonOf(reason)
}

/** Whether `user` passes `gate` in the state of `options.blockTag`. */
export async function probeGate(
  { compute: { models } }: ComputeChain,
  { gate, user }: { gate: ModelGate; user: string },
  options: ReadOptions = {},
): Promise<GateReason> {
  return reasonOf(await read(models.probeGate(gateStruct(gate), user, at(options)), options))
}

/** Whose free units `user` uses up now; `tokenId` names the token of an ERC-721 gate. */
export async function readModelQuota(
  { compute: { models } }: ComputeChain,
  { modelId, user, tokenId = 0n }: { modelId: string; user: string; tokenId?: bigint | undefined },
  options: ReadOptions = {},
): Promise<ModelQuota> {
  const { quota, reason } = await read(models.quotaOf(modelId, user, tokenId, at(options)), options)
  const { subject, snapshotBlock, freeUnits } = quota
  return { subject, snapshotBlock, freeUnits, reason: reasonOf(reason) }
}

function reasonOf(reason: bigint): GateReason {
  return GATE_REASONS[Number(reason)] ?? 'token-failed'
}

function modelRecord(model: ModelStruct): ModelRecord {
  const { modelId, owner, pendingOwner, registeredAtSec, updatedAtSec, version, terms } = model
  const { manifestRoot, kind, licence, verification, commitment, inputFloorWei, outputFloorWei, gate } = terms
  const { token, tokenId, minBalance, freeUnits, quotaPeriodBlocks } = gate
  return {
    ...{ modelId, owner, pendingOwner, registeredAtSec, updatedAtSec, version },
    terms: {
      ...{ manifestRoot, kind, licence, verification, commitment, inputFloorWei, outputFloorWei },
      gate: {
        kind: GATE_KINDS[Number(gate.kind)] ?? 'none',
        ...{ token, tokenId, minBalance, freeUnits, quotaPeriodBlocks },
      },
    },
  }
}
