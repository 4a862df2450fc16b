import { type Module, viewEquals } from '../module.ts'

/** The deployer owns it until the handover: only an owner registers services. */
export const stakingModule: Module = {
  steps: () => [
    {
      kind: 'deploy',
      id: 'Staking',
      contract: 'Staking',
      args: ({ deployer, addressOf, params: { staking } }) => [
        deployer,
        addressOf('OperatorRegistry'),
        addressOf('Beacon'),
        staking,
      ],
    },
  ],
  checks: [viewEquals('Staking', 'treasury', ({ params }) => params.staking.treasury)],
}
