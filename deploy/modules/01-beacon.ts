import { type Module, viewEquals } from '../module.ts'

export const beaconModule: Module = {
  steps: () => [
    {
      kind: 'deploy',
      id: 'Beacon',
      contract: 'Beacon',
      args: ({ startBlock, params: { beacon } }) => [
        startBlock,
        beacon.periodBlocks,
        beacon.epochPeriods,
        beacon.usesBlockHash,
      ],
    },
  ],
  checks: [
    viewEquals('Beacon', 'startBlock', ({ startBlock }) => BigInt(startBlock)),
    viewEquals('Beacon', 'periodBlocks', ({ params }) => BigInt(params.beacon.periodBlocks)),
    viewEquals('Beacon', 'epochPeriods', ({ params }) => BigInt(params.beacon.epochPeriods)),
    viewEquals('Beacon', 'usesBlockHash', ({ params }) => params.beacon.usesBlockHash),
  ],
}
