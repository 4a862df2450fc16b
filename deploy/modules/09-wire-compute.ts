import { id } from 'ethers'
import type { Module } from '../module.ts'
import { isRegistered } from './is-registered.ts'

const COMPUTE_SERVICE = id('compute')
/** `Staking.Pool.Self`: only a provider's own stake stands behind its bills. */
const SELF_POOL = 0n
/** Together the name that public clients expect of the ledger: "inference-v1.0". */
const SERVICE_TYPE = 'inference'
const SERVICE_VERSION = 'v1.0'

/** The entries of inference in the ledger and in the registry of staked services. */
export const computeWireModule: Module = {
  steps: () => [
    {
      kind: 'call',
      id: 'LedgerManager.registerService',
      contract: 'LedgerManager',
      method: 'registerService',
      args: ({ addressOf }) => [
        SERVICE_TYPE,
        SERVICE_VERSION,
        addressOf('InferenceServing'),
        'Inference by staked providers, billed by receipts',
      ],
    },
    {
      kind: 'call',
      id: 'LedgerManager.setRecommendedService',
      contract: 'LedgerManager',
      method: 'setRecommendedService',
      args: () => [SERVICE_TYPE, SERVICE_VERSION],
    },
    {
      kind: 'call',
      id: 'Staking.registerService.compute',
      contract: 'Staking',
      method: 'registerService',
      args: ({ addressOf, params: { compute } }) => [
        addressOf('InferenceServing'),
        SELF_POOL,
        COMPUTE_SERVICE,
        BigInt(compute.faultWindowBlocks),
      ],
    },
  ],
  checks: [
    isRegistered('InferenceServing', COMPUTE_SERVICE),
    {
      what: 'LedgerManager.getServiceAddressByName("inference-v1.0")',
      contract: 'LedgerManager',
      read: (ledger) =>
        ledger.getFunction('getServiceAddressByName').staticCall(`${SERVICE_TYPE}-${SERVICE_VERSION}`),
      expected: ({ addressOf }) => addressOf('InferenceServing'),
    },
  ],
}
