import { type Module, type Step, viewEquals } from '../module.ts'

const pads = (...nonces: number[]): Step[] =>
  nonces.map((nonce) => ({ kind: 'pad', id: `compute.nonce.${nonce}`, fromCompute: true }))

/**
 * Public clients look for the ledger and for inference where account 0 of chain 31337 makes its contracts with nonces 2 and
 * 6: there, and only there, other transactions fill the nonces between. Registry and escrow, which those clients do not know,
 * come from the deployer. Disputes over jobs that name no arbiter are the owner's to decide.
 */
export const computeModule: Module = {
  steps: ({ deployer, computeDeployer }) => {
    const isPadded = computeDeployer !== deployer
    return [
      { kind: 'deploy', id: 'ModelRegistry', contract: 'ModelRegistry', args: () => [] },
      {
        kind: 'deploy',
        id: 'InferenceCatalog',
        contract: 'InferenceCatalog',
        args: ({ addressOf, params: { compute } }) => [
          deployer,
          addressOf('Staking'),
          addressOf('ModelRegistry'),
          compute.inference,
        ],
        fromCompute: true,
      },
      ...(isPadded ? pads(1) : []),
      {
        kind: 'deploy',
        id: 'LedgerManager',
        contract: 'LedgerManager',
        args: ({ params: { compute } }) => [
          deployer,
          compute.ledger.minAccountWei,
          compute.ledger.minTransferWei,
        ],
        fromCompute: true,
      },
      ...(isPadded ? pads(3, 4, 5) : []),
      {
        kind: 'deploy',
        id: 'InferenceServing',
        contract: 'InferenceServing',
        args: ({ addressOf, params: { compute } }) => [
          deployer,
          addressOf('LedgerManager'),
          addressOf('Staking'),
          addressOf('InferenceCatalog'),
          compute.inference,
        ],
        fromCompute: true,
      },
      {
        kind: 'deploy',
        id: 'JobEscrow',
        contract: 'JobEscrow',
        args: ({ addressOf, owner, params: { compute } }) => [
          deployer,
          addressOf('Beacon'),
          addressOf('StorageMarket'),
          addressOf('Staking'),
          addressOf('InferenceServing'),
          compute.jobs,
          owner,
        ],
      },
    ]
  },
  checks: [
    viewEquals('InferenceServing', 'ledgerAddress', ({ addressOf }) => addressOf('LedgerManager')),
    viewEquals('InferenceCatalog', 'modelRegistry', ({ addressOf }) => addressOf('ModelRegistry')),
    viewEquals('JobEscrow', 'defaultArbiter', ({ owner }) => owner),
  ],
}
