import { type Module, viewEquals } from '../module.ts'

export const storageModule: Module = {
  steps: () => [
    {
      kind: 'deploy',
      id: 'StorageStreams',
      contract: 'StorageStreams',
      args: ({ addressOf, params: { streams } }) => [
        addressOf('Beacon'),
        streams.bucketPeriods,
        streams.lockPeriods,
      ],
    },
    {
      kind: 'deploy',
      id: 'StorageProver',
      contract: 'StorageProver',
      args: ({ addressOf, params: { prover } }) => [
        addressOf('Beacon'),
        addressOf('Staking'),
        addressOf('StorageStreams'),
        prover,
      ],
    },
    {
      kind: 'deploy',
      id: 'StorageMarket',
      contract: 'StorageMarket',
      args: ({ deployer, addressOf, params: { market, streams, listPriceWei } }) => [
        deployer,
        addressOf('Beacon'),
        addressOf('Staking'),
        addressOf('StorageStreams'),
        { ...market, bucketPeriods: streams.bucketPeriods },
        listPriceWei,
      ],
    },
    {
      kind: 'deploy',
      id: 'Flow',
      contract: 'Flow',
      args: ({ addressOf }) => [addressOf('StorageMarket'), addressOf('StorageStreams')],
    },
  ],
  checks: [viewEquals('StorageMarket', 'streams', ({ addressOf }) => addressOf('StorageStreams'))],
}
