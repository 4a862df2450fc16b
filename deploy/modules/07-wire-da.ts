import { id } from 'ethers'
import type { Module, Refs } from '../module.ts'
import { isRegistered } from './is-registered.ts'

const DA_SERVICE = id('da')
const DISPERSER_SERVICE = id('disperser')
/** `Staking.Pool`: a disperser's bond is its own; a seat may be backed by delegators, who wait out the exit delay. */
const SELF_POOL = 0n
const DELEGATED_POOL = 1n

/** A fault of a blob can be proved until its dispute window ends. */
function disperserWindowBlocks({ params: { da, beacon } }: Refs): bigint {
  const { maxRetentionPeriods, disputePeriods } = da.blobs
  return BigInt((maxRetentionPeriods + disputePeriods) * beacon.periodBlocks)
}

/** An attester answers for blobs of the whole epoch that its seat was drawn for. */
const attesterWindowBlocks = (refs: Refs) =>
  disperserWindowBlocks(refs) + BigInt(refs.params.beacon.epochPeriods * refs.params.beacon.periodBlocks)

/** The calls that each work once, and the entries of data availability in the registry of services. */
export const daWireModule: Module = {
  steps: () => [
    {
      kind: 'call',
      id: 'DaCommittee.wire',
      contract: 'DaCommittee',
      method: 'wire',
      args: ({ addressOf }) => [addressOf('DataAvailability'), addressOf('DaProver'), addressOf('DaCourt')],
    },
    {
      kind: 'call',
      id: 'DataAvailability.wire',
      contract: 'DataAvailability',
      method: 'wire',
      args: ({ addressOf }) => [addressOf('DaProver'), addressOf('DaCourt')],
    },
    {
      kind: 'call',
      id: 'Staking.registerService.da',
      contract: 'Staking',
      method: 'registerService',
      args: (refs) => [refs.addressOf('DaCommittee'), DELEGATED_POOL, DA_SERVICE, attesterWindowBlocks(refs)],
    },
    {
      kind: 'call',
      id: 'Staking.registerService.disperser',
      contract: 'Staking',
      method: 'registerService',
      args: (refs) => [
        refs.addressOf('DataAvailability'),
        SELF_POOL,
        DISPERSER_SERVICE,
        disperserWindowBlocks(refs),
      ],
    },
  ],
  checks: [isRegistered('DaCommittee', DA_SERVICE), isRegistered('DataAvailability', DISPERSER_SERVICE)],
}
