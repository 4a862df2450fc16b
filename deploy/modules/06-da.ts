import { type Module, viewEquals } from '../module.ts'

export const daModule: Module = {
  steps: () => [
    {
      kind: 'deploy',
      id: 'DaCommittee',
      contract: 'DaCommittee',
      args: ({ addressOf, params: { da } }) => [addressOf('Beacon'), addressOf('Staking'), da.committee],
    },
    {
      kind: 'deploy',
      id: 'DataAvailability',
      contract: 'DataAvailability',
      args: ({ addressOf, params: { da, streams } }) => [
        addressOf('Beacon'),
        addressOf('Staking'),
        addressOf('DaCommittee'),
        { ...da.blobs, bucketPeriods: streams.bucketPeriods },
      ],
    },
    {
      kind: 'deploy',
      id: 'DaProver',
      contract: 'DaProver',
      args: ({ addressOf, params: { da } }) => [
        addressOf('Beacon'),
        addressOf('DaCommittee'),
        addressOf('DataAvailability'),
        da.prover,
      ],
    },
    {
      kind: 'deploy',
      id: 'DaCourt',
      contract: 'DaCourt',
      args: ({ addressOf, params: { da } }) => [
        addressOf('Beacon'),
        addressOf('Staking'),
        addressOf('DaCommittee'),
        addressOf('DataAvailability'),
        da.court,
      ],
    },
  ],
  checks: [
    viewEquals('DataAvailability', 'bucketPeriods', ({ params }) => BigInt(params.streams.bucketPeriods)),
  ],
}
