import { connectCompute } from '../../sdk/chain/compute-chain.ts'
import type { Chain } from '../../sdk/chain/connect.ts'
import { connectDa } from '../../sdk/chain/da-chain.ts'
import type { StakePool } from '../../sdk/chain/staking.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/**
 * What stake can stand behind: storage, a disperser's bond and a compute service from the own pool, seats in the committee
 * from the delegated one.
 */
export type StakeService = 'storage' | 'da' | 'disperser' | 'compute'

/** What `--service` takes, for the help. */
export const SERVICE_CHOICE = 'storage, da (seats), disperser (bond) or compute'

/** Checks the name of a service. Errors: BAD_REQUEST. */
export function parseService(text: string): StakeService {
  if (text === 'storage' || text === 'da' || text === 'disperser' || text === 'compute') return text
  throw new ZerogError('BAD_REQUEST', `--service must be storage, da, disperser or compute, not "${text}"`)
}

/** Where a service stands, and from which pool it is backed. Errors: ADDRESS_BOOK_INVALID where it is not deployed. */
export async function placeOfService(
  chain: Chain,
  name: StakeService,
): Promise<{ service: string; pool: StakePool }> {
  if (name === 'storage') return { service: chain.book.contracts.StorageProver.address, pool: 'self' }
  if (name === 'compute')
    return { service: (await connectCompute(chain)).compute.addresses.InferenceServing, pool: 'self' }
  const { addresses } = (await connectDa(chain)).da
  return name === 'da'
    ? { service: addresses.DaCommittee, pool: 'delegated' }
    : { service: addresses.DataAvailability, pool: 'self' }
}
