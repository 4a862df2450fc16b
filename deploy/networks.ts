import { ZerogError } from '../sdk/protocol/errors.ts'
import type { NetworkParams } from './deploy-params.ts'
import { galileo } from './params/galileo.ts'
import { localhost } from './params/localhost.ts'
import { sepolia } from './params/sepolia.ts'

const NETWORKS: readonly NetworkParams[] = [localhost, galileo, sepolia]

/** The network called `name`. Errors: CONFIG_INVALID naming those there are. */
export function networkByName(name: string): NetworkParams {
  const network = NETWORKS.find((candidate) => candidate.name === name)
  if (network !== undefined) return network
  const names = NETWORKS.map((candidate) => candidate.name).join(', ')
  throw new ZerogError('CONFIG_INVALID', `unknown network "${name}": one of ${names}`)
}
