import { id } from 'ethers'
import {
  IDaCommittee__factory,
  IDaCourt__factory,
  IDaProver__factory,
  IDataAvailability__factory,
} from '../../typechain-types/factories/interfaces/index.js'
import type {
  IDaCommittee,
  IDaCourt,
  IDaProver,
  IDataAvailability,
} from '../../typechain-types/interfaces/index.js'
import { ZerogError } from '../protocol/errors.ts'
import { DA_CONTRACT_NAMES, type DaContractName } from './address-book.ts'
import type { Chain } from './connect.ts'
import { type ReadOptions, read } from './read.ts'

/** Service id of data availability in the operator registry: keccak256("da"). */
export const DA_SERVICE = id('da')

/** The typed contracts of data availability, and where each stands (checksummed). */
export type DaContracts = {
  readonly committee: IDaCommittee
  readonly availability: IDataAvailability
  readonly prover: IDaProver
  readonly court: IDaCourt
  readonly addresses: Readonly<Record<DaContractName, string>>
}

/** Parameters of data availability, fixed at deployment. Periods and blocks are plain counts; columns are of 128. */
export type DaTerms = {
  readonly pricePerBlobPeriodWei: bigint
  readonly bondWei: bigint
  readonly softColumns: number
  readonly softAdversary: number
  readonly finalColumns: number
  readonly finalAdversary: number
  readonly confirmBlocks: bigint
  readonly minRetentionPeriods: bigint
  readonly maxRetentionPeriods: bigint
  readonly disputePeriods: bigint
  readonly minStakeWei: bigint
}

/** A chain with data availability: what every function about blobs takes first. */
export type DaChain = Chain & { readonly da: DaContracts; readonly daTerms: DaTerms }

/**
 * Adds the contracts of data availability to a connected chain and reads their fixed parameters.
 *
 * Errors: ADDRESS_BOOK_INVALID when the address book names none of them; RPC_UNREACHABLE; TIMEOUT; ABORTED.
 */
export async function connectDa(
  chain: Chain,
  options: Pick<ReadOptions, 'signal' | 'timeoutMs'> = {},
): Promise<DaChain> {
  const addresses = addressesOf(chain)
  const da: DaContracts = {
    committee: IDaCommittee__factory.connect(addresses.DaCommittee, chain.provider),
    availability: IDataAvailability__factory.connect(addresses.DataAvailability, chain.provider),
    prover: IDaProver__factory.connect(addresses.DaProver, chain.provider),
    court: IDaCourt__factory.connect(addresses.DaCourt, chain.provider),
    addresses,
  }
  const [blobs, committee] = await read(
    Promise.all([da.availability.params(), da.committee.params()]),
    options,
  )
  return {
    ...chain,
    da,
    daTerms: {
      pricePerBlobPeriodWei: blobs.pricePerBlobPeriodWei,
      bondWei: blobs.bondWei,
      softColumns: Number(blobs.softColumns),
      softAdversary: Number(blobs.softAdversary),
      finalColumns: Number(blobs.finalColumns),
      finalAdversary: Number(blobs.finalAdversary),
      confirmBlocks: blobs.confirmBlocks,
      minRetentionPeriods: blobs.minRetentionPeriods,
      maxRetentionPeriods: blobs.maxRetentionPeriods,
      disputePeriods: blobs.disputePeriods,
      minStakeWei: committee.minStakeWei,
    },
  }
}

/** What names this chain's data availability in a header. */
export function daPlace({ chainId, da }: Pick<DaChain, 'chainId' | 'da'>): { chainId: bigint; da: string } {
  return { chainId, da: da.addresses.DataAvailability }
}

function addressesOf({ book: { contracts } }: Chain): Record<DaContractName, string> {
  const { DaCommittee, DataAvailability, DaProver, DaCourt } = contracts
  if (DaCommittee && DataAvailability && DaProver && DaCourt)
    return {
      DaCommittee: DaCommittee.address,
      DataAvailability: DataAvailability.address,
      DaProver: DaProver.address,
      DaCourt: DaCourt.address,
    }
  const issues = DA_CONTRACT_NAMES.filter((name) => contracts[name] === undefined)
  throw new ZerogError(
    'ADDRESS_BOOK_INVALID',
    `the address book names no ${issues.join(', ')}: it is older than data availability; deploy again`,
    { meta: { issues } },
  )
}
