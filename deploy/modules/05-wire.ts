import { id } from 'ethers'
import { type Module, type Refs, viewEquals } from '../module.ts'

const STORAGE_SERVICE = id('storage')
/** `Staking.Pool.Self`: custody lasts for months, so only an operator's own stake backs it. */
const SELF_POOL = 0n

/** A draw of a period may be reported as missed until three windows after the period's boundary. */
const faultWindowBlocks = ({ params }: Refs) => BigInt(3 * params.prover.windowBlocks)

/** The calls that each work once, and the entry of storage in the registry of services. */
export const wireModule: Module = {
  steps: () => [
    {
      kind: 'call',
      id: 'StorageProver.wire',
      contract: 'StorageProver',
      method: 'wire',
      args: ({ addressOf }) => [addressOf('StorageMarket')],
    },
    {
      kind: 'call',
      id: 'StorageMarket.wire',
      contract: 'StorageMarket',
      method: 'wire',
      args: ({ addressOf }) => [addressOf('Flow'), addressOf('StorageProver')],
    },
    {
      kind: 'call',
      id: 'StorageStreams.wire',
      contract: 'StorageStreams',
      method: 'wire',
      args: ({ addressOf }) => [addressOf('Flow'), addressOf('StorageMarket'), addressOf('StorageProver')],
    },
    {
      kind: 'call',
      id: 'Staking.registerService',
      contract: 'Staking',
      method: 'registerService',
      args: (refs) => [refs.addressOf('StorageProver'), SELF_POOL, STORAGE_SERVICE, faultWindowBlocks(refs)],
    },
  ],
  checks: [
    viewEquals('StorageProver', 'market', ({ addressOf }) => addressOf('StorageMarket')),
    viewEquals('StorageMarket', 'flow', ({ addressOf }) => addressOf('Flow')),
    viewEquals('StorageMarket', 'prover', ({ addressOf }) => addressOf('StorageProver')),
  ],
}
