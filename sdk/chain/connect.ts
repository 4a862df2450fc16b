import { id, type Provider, type Signer } from 'ethers'
import {
  IBeacon__factory,
  IFlow__factory,
  IOperatorRegistry__factory,
  IStaking__factory,
  IStorageMarket__factory,
  IStorageProver__factory,
  IStorageStreams__factory,
} from '../../typechain-types/factories/interfaces/index.js'
import type {
  IBeacon,
  IFlow,
  IOperatorRegistry,
  IStaking,
  IStorageMarket,
  IStorageProver,
  IStorageStreams,
} from '../../typechain-types/interfaces/index.js'
import { ZerogError } from '../protocol/errors.ts'
import type { AddressBook } from './address-book.ts'
import { type ReadOptions, read } from './read.ts'

/** Service id of storage in the operator registry: keccak256("storage"). */
export const STORAGE_SERVICE = id('storage')

/** The typed contracts of one deployment; each call may pass `{ blockTag }` as its last argument. */
export type Contracts = {
  readonly beacon: IBeacon
  readonly registry: IOperatorRegistry
  readonly staking: IStaking
  readonly streams: IStorageStreams
  readonly prover: IStorageProver
  readonly market: IStorageMarket
  readonly flow: IFlow
}

/** Parameters fixed at deployment, so one read serves for ever. Periods, blocks and sectors are plain counts. */
export type ChainTerms = {
  readonly startBlock: bigint
  readonly periodBlocks: bigint
  readonly epochPeriods: bigint
  readonly usesBlockHash: boolean
  readonly defaultTermPeriods: bigint
  readonly minTermPeriods: bigint
  readonly maxTermPeriods: bigint
  readonly sealDeadlineBlocks: bigint
  readonly bucketPeriods: bigint
  readonly potBps: bigint
  readonly faultTolerance: bigint
  readonly parityBondWei: bigint
  readonly targetDraws: bigint
  readonly windowBlocks: bigint
  readonly slashFactor: bigint
  readonly maxStrikes: bigint
  readonly strikeWindowPeriods: bigint
  readonly reporterBps: bigint
}

/** One deployment on one chain: what every function of sdk/chain and sdk/client takes first. */
export type Chain = {
  readonly chainId: bigint
  readonly provider: Provider
  readonly signer?: Signer
  readonly book: AddressBook
  readonly contracts: Contracts
  readonly terms: ChainTerms
}

/**
 * Connects to the contracts of an address book and reads their fixed parameters.
 *
 * Errors: WRONG_CHAIN when the RPC serves another chain, another genesis, or has no contracts at these addresses;
 * RPC_UNREACHABLE; TIMEOUT; ABORTED.
 */
export async function connectChain(options: connectChain.Options): Promise<Chain> {
  const { provider, addressBook: book, signer } = options
  const [network, genesis] = await read(
    Promise.all([provider.getNetwork(), book.genesisHash === undefined ? null : provider.getBlock(0)]),
    options,
  )
  if (network.chainId !== book.chainId)
    throw new ZerogError('WRONG_CHAIN', `the RPC serves chain ${network.chainId}, not ${book.chainId}`, {
      meta: { expected: `${book.chainId}`, got: `${network.chainId}` },
    })
  if (genesis !== null && genesis.hash?.toLowerCase() !== book.genesisHash?.toLowerCase())
    throw new ZerogError('WRONG_CHAIN', 'the RPC serves another chain with the same id', {
      meta: { expected: book.genesisHash, got: genesis.hash },
    })
  const contracts = contractsOf(book, provider)
  const terms = await readChainTerms(contracts, options)
  return {
    chainId: book.chainId,
    provider,
    book,
    contracts,
    terms,
    ...(signer === undefined ? {} : { signer }),
  }
}

export declare namespace connectChain {
  type Options = Pick<ReadOptions, 'signal' | 'timeoutMs'> & {
    provider: Provider
    addressBook: AddressBook
    signer?: Signer
  }
}

function contractsOf({ contracts: book }: AddressBook, provider: Provider): Contracts {
  return {
    beacon: IBeacon__factory.connect(book.Beacon.address, provider),
    registry: IOperatorRegistry__factory.connect(book.OperatorRegistry.address, provider),
    staking: IStaking__factory.connect(book.Staking.address, provider),
    streams: IStorageStreams__factory.connect(book.StorageStreams.address, provider),
    prover: IStorageProver__factory.connect(book.StorageProver.address, provider),
    market: IStorageMarket__factory.connect(book.StorageMarket.address, provider),
    flow: IFlow__factory.connect(book.Flow.address, provider),
  }
}

async function readChainTerms(contracts: Contracts, options: ReadOptions): Promise<ChainTerms> {
  const { beacon, market, prover } = contracts
  const [startBlock, periodBlocks, epochPeriods, usesBlockHash, deals, audits] = await read(
    Promise.all([
      beacon.startBlock(),
      beacon.periodBlocks(),
      beacon.epochPeriods(),
      beacon.usesBlockHash(),
      market.params(),
      prover.params(),
    ]),
    options,
  )
  return {
    startBlock,
    periodBlocks,
    epochPeriods,
    usesBlockHash,
    defaultTermPeriods: deals.defaultTermPeriods,
    minTermPeriods: deals.minTermPeriods,
    maxTermPeriods: deals.maxTermPeriods,
    sealDeadlineBlocks: deals.sealDeadlineBlocks,
    bucketPeriods: deals.bucketPeriods,
    potBps: deals.potBps,
    faultTolerance: deals.faultTolerance,
    parityBondWei: deals.parityBondWei,
    targetDraws: audits.targetDraws,
    windowBlocks: audits.windowBlocks,
    slashFactor: audits.slashFactor,
    maxStrikes: audits.maxStrikes,
    strikeWindowPeriods: audits.strikeWindowPeriods,
    reporterBps: audits.reporterBps,
  }
}
