import { id } from 'ethers'
import type { Clock } from '../../sdk/protocol/clock.ts'
import {
  Beacon__factory,
  Flow__factory,
  OperatorRegistry__factory,
  Staking__factory,
  StorageMarket__factory,
  StorageProver__factory,
  StorageStreams__factory,
} from '../../typechain-types/index.js'
import { type Chain, createChain, type TestSigner } from './chain.ts'

export const STORAGE_SERVICE = id('storage')

/** Numbers of the network under test; those of the local devnet unless a test says otherwise. */
export const LOCAL_PARAMS = {
  periodBlocks: 24n,
  windowBlocks: 8n,
  epochPeriods: 2n,
  exitDelayEpochs: 4n,
  maxCommissionStepBps: 1000n,
  bucketPeriods: 5n,
  lockPeriods: 64n,
  targetDraws: 24n,
  slashFactor: 4n,
  maxStrikes: 3n,
  strikeWindowPeriods: 50n,
  reporterBps: 1000n,
  defaultTermPeriods: 3600n,
  minTermPeriods: 5n,
  maxTermPeriods: 100_000n,
  sealDeadlineBlocks: 120n,
  potBps: 1000n,
  faultTolerance: 2n,
  parityBondWei: 10n ** 16n,
  pricePerSectorPeriodWei: 10n ** 9n,
  /** Seeds from block hashes, so that a pin needs no header. */
  useBlockHash: true,
}
export type StorageParams = typeof LOCAL_PARAMS

/** Accounts of the test mnemonic by role; providers come last. */
const DEPLOYER = 1
const OWNER = 2
const UPLOADER = 3
const STRANGER = 4
const REPORTER = 5
const FIRST_PROVIDER = 8

/** Stake of each provider, all of it allocated to storage. */
const PROVIDER_STAKE_WEI = 10n ** 19n

/** The whole storage system in process, wired as a deployment wires it, with `providers` registered and staked. */
export async function deployStorage({
  params: overrides = {},
  providers: providerCount = 6,
}: {
  params?: Partial<StorageParams>
  providers?: number
} = {}) {
  const params = { ...LOCAL_PARAMS, ...overrides }
  const chain = await createChain()
  const deployer = chain.signer(DEPLOYER)
  const owner = chain.signer(OWNER)
  const startBlock = (await chain.head()) + 1n

  const beacon = await new Beacon__factory(deployer).deploy(
    startBlock,
    params.periodBlocks,
    params.epochPeriods,
    params.useBlockHash,
  )
  const registry = await new OperatorRegistry__factory(deployer).deploy(beacon)
  const staking = await new Staking__factory(deployer).deploy(deployer, registry, beacon, {
    exitDelayEpochs: params.exitDelayEpochs,
    maxCommissionStepBps: params.maxCommissionStepBps,
    treasury: owner,
  })
  const streams = await new StorageStreams__factory(deployer).deploy(
    beacon,
    params.bucketPeriods,
    params.lockPeriods,
  )
  const prover = await new StorageProver__factory(deployer).deploy(beacon, staking, streams, params)
  const market = await new StorageMarket__factory(deployer).deploy(
    owner,
    beacon,
    staking,
    streams,
    params,
    params.pricePerSectorPeriodWei,
  )
  const flow = await new Flow__factory(deployer).deploy(market, streams)
  await prover.wire(market)
  await market.wire(flow, prover)
  await streams.wire(flow, market, prover)
  const faultWindowBlocks = 3n * params.windowBlocks
  await staking.registerService(prover, 0, STORAGE_SERVICE, faultWindowBlocks)
  await staking.transferOwnership(owner)
  await staking.connect(owner).acceptOwnership()

  const system = {
    ...chain,
    chain,
    params,
    clock: {
      startBlock,
      periodBlocks: params.periodBlocks,
      bucketPeriods: params.bucketPeriods,
    } satisfies Clock,
    chainId: (await chain.ethers.provider.getNetwork()).chainId,
    beacon,
    registry,
    staking,
    streams,
    prover,
    market,
    flow,
    deployer,
    owner,
    uploader: chain.signer(UPLOADER),
    stranger: chain.signer(STRANGER),
    reporter: chain.signer(REPORTER),
    providers: Array.from({ length: providerCount }, (_, index) => chain.signer(FIRST_PROVIDER + index)),
  }
  for (const provider of system.providers) await addProvider(system, provider, PROVIDER_STAKE_WEI)
  return system
}

export type StorageSystem = Awaited<ReturnType<typeof deployStorage>>

/** Registers an operator, stakes and allocates `stakeWei` to storage. */
export async function addProvider(
  { registry, staking, prover }: Pick<StorageSystem, 'registry' | 'staking' | 'prover'>,
  signer: TestSigner,
  stakeWei: bigint,
): Promise<void> {
  await registry.connect(signer).register('')
  if (stakeWei === 0n) return
  await staking.connect(signer).stake({ value: stakeWei })
  await staking.connect(signer).allocate(prover, stakeWei)
}

/** Period of the latest block. */
export async function currentPeriod({
  chain,
  clock,
}: Pick<StorageSystem, 'chain' | 'clock'>): Promise<bigint> {
  return ((await chain.head()) - clock.startBlock) / clock.periodBlocks
}

/** Mines so that the next transaction lands in block `offset` (1 or more) after the period's first. */
export async function enterPeriod(
  { chain, clock }: { chain: Chain; clock: Clock },
  period: bigint,
  offset = 1n,
): Promise<void> {
  await chain.mineTo(clock.startBlock + period * clock.periodBlocks + offset - 1n)
}
