import type { Contract } from 'ethers'
import type { DeployedName } from '../sdk/chain/address-book.ts'
import type { DeployParams } from './deploy-params.ts'

/** What the arguments of a step may depend on. `owner` is who holds the system in the end, `deployer` who sends. */
export type Refs = {
  params: DeployParams
  startBlock: number
  deployer: string
  /** Who sends the compute contracts: the deployer, but for chains where public clients expect them elsewhere. */
  computeDeployer: string
  owner: string
  addressOf(contract: DeployedName): string
}

/**
 * One transaction. Its `id` is stable: the journal knows by it what has been done. `pad` sends nothing to its own sender: it
 * only moves on the nonce that the addresses of later contracts follow from.
 */
export type Step = (
  | { kind: 'deploy'; id: string; contract: DeployedName; args: (refs: Refs) => unknown[] }
  | { kind: 'call'; id: string; contract: DeployedName; method: string; args: (refs: Refs) => unknown[] }
  | { kind: 'pad'; id: string }
) & {
  /** Sent by the compute deployer, not by the deployer. */
  fromCompute?: true
}

/** A fact that must hold once everything is deployed. */
export type Check = {
  what: string
  contract: DeployedName
  read: (contract: Contract, refs: Refs) => Promise<unknown>
  expected: (refs: Refs) => unknown
}

/** A part of the deployment: its transactions in order, and what must be true afterwards. */
export type Module = {
  steps: (refs: Pick<Refs, 'deployer' | 'computeDeployer' | 'owner'>) => Step[]
  checks: Check[]
}

/** A check that the view function `method` (without arguments) answers with `expected`. */
export function viewEquals(contract: DeployedName, method: string, expected: Check['expected']): Check {
  return {
    what: `${contract}.${method}()`,
    contract,
    read: (deployed) => deployed.getFunction(method).staticCall(),
    expected,
  }
}
