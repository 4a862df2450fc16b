import { ZeroAddress } from 'ethers'
import type { DeployedName } from '../../sdk/chain/address-book.ts'
import type { Check, Module } from '../module.ts'

const OWNED = [
  'Staking',
  'StorageMarket',
  'LedgerManager',
  'InferenceServing',
  'JobEscrow',
] as const satisfies readonly DeployedName[]

/** Either the owner already, or the only one who may accept: then the present owner is still the deployer. */
function isHandedOver(contract: DeployedName): Check {
  return {
    what: `${contract} belongs to the owner or awaits his acceptOwnership()`,
    contract,
    read: async (deployed) => {
      const owner: unknown = await deployed.getFunction('owner').staticCall()
      const pending: unknown = await deployed.getFunction('pendingOwner').staticCall()
      return pending === ZeroAddress ? owner : pending
    },
    expected: ({ owner }) => owner,
  }
}

/** Ownership in two steps: the new owner accepts by himself, so a mistyped address loses nothing. */
export const handoverModule: Module = {
  steps: ({ deployer, owner }) =>
    owner === deployer
      ? []
      : OWNED.map((contract) => ({
          kind: 'call',
          id: `${contract}.transferOwnership`,
          contract,
          method: 'transferOwnership',
          args: (refs) => [refs.owner],
        })),
  checks: OWNED.map(isHandedOver),
}
