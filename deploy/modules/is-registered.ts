import type { DeployedName } from '../../sdk/chain/address-book.ts'
import type { Check } from '../module.ts'

/** A check that `Staking` takes a contract for the service of this kind. */
export function isRegistered(contract: DeployedName, kind: string): Check {
  return {
    what: `Staking.serviceOf(${contract})`,
    contract: 'Staking',
    read: async (staking, { addressOf }) => {
      const service = await staking.getFunction('serviceOf').staticCall(addressOf(contract))
      return (service as { kind: string }).kind
    },
    expected: () => kind,
  }
}
