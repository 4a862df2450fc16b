import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import {
  type GateReason,
  type ModelGate,
  probeGate,
  readModel,
  readModelAccess,
  readModelQuota,
} from '../../sdk/chain/models.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { FreeQuota } from './free-book.ts'
import { createFreshCache } from './fresh-cache.ts'

/** Keeps the gate that the owner of the served model has set in the registry. */
export type GateKeeper = {
  /**
   * The free quota of a user that passes; undefined where there is none. `tokenId` is the token of an ERC-721 gate that it
   * names: without one it passes all the same, and pays.
   *
   * Errors: COMPUTE_GATE_CLOSED (meta: reason); RPC_UNREACHABLE, TIMEOUT.
   */
  pass(user: string, tokenId: bigint | undefined): Promise<FreeQuota | undefined>
  /** The gate as it counts now; undefined where there is none, or nobody has registered the model. */
  gate(): Promise<ModelGate | undefined>
}

export declare namespace createGateKeeper {
  type Options = {
    chain: ComputeChain
    modelId: string
    /** Whose word counts for this name; undefined: whoever has it, but nothing is given away for strangers. */
    modelOwner: string | undefined
    /** What the provider serves free of charge to one subject in one period, whatever the owner grants. */
    maxFreeUnits: number
    cacheMs: number
    log: Log
    signal: AbortSignal
  }
}

const REASONS: Readonly<Record<GateReason, string>> = {
  passed: 'passed',
  'balance-too-low': 'the balance of this account is below that',
  'token-failed': 'the token does not answer',
  'not-token-owner': 'this account does not own the token',
}

export function createGateKeeper(options: createGateKeeper.Options): GateKeeper {
  const { chain, modelId, modelOwner, cacheMs, log, signal } = options
  // Anybody may register a name that nobody has, with a token of its own as the gate: free units are for owners that are known.
  const maxFreeUnits = modelOwner === undefined ? 0 : options.maxFreeUnits
  const gates = createFreshCache<ModelGate | undefined>(cacheMs)
  const reasons = createFreshCache<GateReason>(cacheMs)
  const quotas = createFreshCache<FreeQuota | undefined>(cacheMs)

  const gate = () =>
    gates.get('', async () => {
      const model = await readModel(chain, modelId, { signal })
      if (
        model === undefined ||
        (modelOwner !== undefined && model.owner.toLowerCase() !== modelOwner.toLowerCase())
      )
        return undefined
      return model.terms.gate.kind === 'none' ? undefined : model.terms.gate
    })

  async function readQuota(
    standing: ModelGate,
    user: string,
    tokenId: bigint | undefined,
  ): Promise<FreeQuota | undefined> {
    const quota = await readModelQuota(chain, { modelId, user, tokenId }, { signal })
    if (quota.freeUnits === 0n || quota.reason !== 'passed') return undefined
    const period = Number(quota.snapshotBlock)
    if (standing.kind !== 'erc721') {
      // Whoever did not hold the coins then may have them from somebody who uses the quota, too.
      const then = { signal, blockTag: period }
      const reason = await probeGate(chain, { gate: standing, user }, then).catch((error: unknown) => {
        log.warn({ err: error, block: period }, 'no free units: the node does not tell past balances')
        return 'token-failed'
      })
      if (reason !== 'passed') return undefined
    }
    const granted = quota.freeUnits < BigInt(maxFreeUnits) ? Number(quota.freeUnits) : maxFreeUnits
    return { subject: quota.subject, period, freeUnits: granted }
  }

  return {
    gate,

    async pass(user, tokenId) {
      const standing = await gate()
      if (standing === undefined) return undefined
      const reason = await reasons.get(user, () => readModelAccess(chain, { modelId, user }, { signal }))
      if (reason !== 'passed') {
        const message = `${modelId} is for holders of ${wanted(standing)}: ${REASONS[reason]}`
        throw new ZerogError('COMPUTE_GATE_CLOSED', message, { meta: { reason, token: standing.token } })
      }
      if (standing.freeUnits === 0n || maxFreeUnits === 0) return undefined
      if (standing.kind === 'erc721' && tokenId === undefined) return undefined
      return quotas.get(`${user}:${tokenId ?? ''}`, () => readQuota(standing, user, tokenId))
    },
  }
}

/** What a gate asks for, in words. */
function wanted({ kind, token, tokenId, minBalance }: ModelGate): string {
  if (kind === 'erc1155')
    return `at least ${minBalance} of token ${tokenId} of the ERC-1155 contract ${token}`
  return `at least ${minBalance} of the ${kind === 'erc721' ? 'ERC-721' : 'ERC-20'} token ${token}`
}
