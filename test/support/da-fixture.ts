import { id, Result, ZeroAddress } from 'ethers'
import type { Clock } from '../../sdk/protocol/clock.ts'
import {
  Beacon__factory,
  DaCommittee__factory,
  DaProver__factory,
  DataAvailability__factory,
  OperatorRegistry__factory,
  Staking__factory,
} from '../../typechain-types/index.js'
import { type BlsKey, blsKey, signDigest } from './bls-keys.ts'
import { createChain, type TestSigner } from './chain.ts'

/** Numbers of the network under test. */
export const DA_PARAMS = {
  periodBlocks: 24n,
  windowBlocks: 8n,
  epochPeriods: 2n,
  exitDelayEpochs: 16n,
  minStakeWei: 10n ** 16n,
  repayGas: 10_000_000n,
  pricePerBlobPeriodWei: 10n ** 12n,
  bondWei: 10n ** 18n,
  softColumns: 86n,
  softAdversary: 22n,
  finalColumns: 107n,
  finalAdversary: 43n,
  confirmBlocks: 20n,
  minRetentionPeriods: 3n,
  maxRetentionPeriods: 20n,
  bucketPeriods: 5n,
  disputePeriods: 2n,
  maintenanceBps: 1000n,
  unconfirmedBps: 500n,
  targetDraws: 16n,
  missSlashBps: 100n,
  strikeWindowPeriods: 50n,
  reporterBps: 1000n,
  bountyWei: 10n ** 9n,
  /** Seeds from block hashes, so that a pin needs no header. */
  useBlockHash: true,
}
export type DaTestParams = typeof DA_PARAMS

/** Accounts of the test mnemonic by role. */
const DEPLOYER = 1
const OWNER = 2
const PUBLISHER = 3
const STRANGER = 4
const REPORTER = 5
const DISPERSER = 6
const COURT = 7
const FIRST_MEMBER = 8

export const MEMBER_STAKE_WEI = 10n ** 18n

/** A member of the committee: its operator account and its BLS key. */
export type Member = { signer: TestSigner; address: string; key: BlsKey }

/**
 * The DA ledger in process: committee of `members` equal stakes with real keys, epoch 1 formed, a disperser with its bond. An account
 * stands for the court, so that a test says itself what it convicts.
 */
export async function deployDa({
  params: overrides = {},
  members: memberCount = 8,
}: {
  params?: Partial<DaTestParams>
  members?: number
} = {}) {
  const params = { ...DA_PARAMS, ...overrides }
  const chain = await createChain()
  const deployer = chain.signer(DEPLOYER)
  const owner = chain.signer(OWNER)
  const disperser = chain.signer(DISPERSER)
  const court = chain.signer(COURT)
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
    maxCommissionStepBps: 1000n,
    treasury: owner,
  })
  const committee = await new DaCommittee__factory(deployer).deploy(beacon, staking, params)
  const da = await new DataAvailability__factory(deployer).deploy(beacon, staking, committee, params)
  const prover = await new DaProver__factory(deployer).deploy(beacon, committee, da, params)
  await committee.wire(da, prover, court)
  await da.wire(prover, court)
  await staking.registerService(committee, 1, id('da'), await staking.exitDelayBlocks())
  await staking.registerService(da, 0, id('disperser'), 0n)

  const clock: Clock = {
    startBlock,
    periodBlocks: params.periodBlocks,
    bucketPeriods: params.bucketPeriods,
  }
  const system = {
    ...chain,
    chain,
    params,
    clock,
    chainId: (await chain.ethers.provider.getNetwork()).chainId,
    beacon,
    registry,
    staking,
    committee,
    da,
    prover,
    deployer,
    owner,
    disperser,
    court,
    publisher: chain.signer(PUBLISHER),
    stranger: chain.signer(STRANGER),
    reporter: chain.signer(REPORTER),
    members: [] as Member[],
  }
  await registry.connect(disperser).register('')
  await staking.connect(disperser).stake({ value: 3n * params.bondWei })
  await staking.connect(disperser).allocate(da, 2n * params.bondWei)
  for (let i = 0; i < memberCount; i++) {
    system.members.push(await addMember(system, i, await accountOf(chain, i)))
  }
  if (memberCount > 0) {
    await enterEpoch(system, (await beacon.currentEpoch()) + 1n)
    await committee.newEpoch('0x')
  }
  return system
}

export type DaSystem = Awaited<ReturnType<typeof deployDa>>

/** Registers an operator, stakes for it and lets it join with key `index`. */
export async function addMember(
  { registry, staking, committee }: Pick<DaSystem, 'registry' | 'staking' | 'committee'>,
  index: number,
  signer: TestSigner,
): Promise<Member> {
  const key = blsKey(index)
  await registry.connect(signer).register('')
  await staking.connect(signer).delegate(signer, { value: MEMBER_STAKE_WEI })
  await staking.connect(signer).allocate(committee, MEMBER_STAKE_WEI)
  const pop = signDigest(key, await committee.keyDigest(signer, key.publicKey))
  await committee.connect(signer).register(key.publicKey, pop, ZeroAddress)
  return { signer, address: signer.address, key }
}

/** An account of the mnemonic, or a funded one when there are no more. */
async function accountOf(chain: DaSystem['chain'], index: number): Promise<TestSigner> {
  const accounts = (await chain.ethers.getSigners()).length
  if (FIRST_MEMBER + index < accounts) return chain.signer(FIRST_MEMBER + index)
  const address = `0x${(0xda00n + BigInt(index)).toString(16).padStart(40, '0')}`
  await chain.setBalance(address, 100n * MEMBER_STAKE_WEI)
  return chain.ethers.getImpersonatedSigner(address)
}

/** Mines into the second block of an epoch: its first may then be pinned. */
export async function enterEpoch({ chain, clock, params }: DaSystem, epoch: bigint): Promise<void> {
  await chain.mineTo(clock.startBlock + epoch * params.epochPeriods * clock.periodBlocks)
}

/** The fields of a struct that a contract returned, by name. */
export function structOf(struct: unknown): Record<string, unknown> {
  if (!(struct instanceof Result)) throw new Error('this is no struct of a contract')
  return struct.toObject()
}
