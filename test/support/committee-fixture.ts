import { id, toBeHex, ZeroAddress } from 'ethers'
import {
  Beacon__factory,
  CommitteeUserMock__factory,
  DaCommittee__factory,
  OperatorRegistry__factory,
  Staking__factory,
} from '../../typechain-types/index.js'
import { type BlsKey, blsKey, signDigest } from './bls-keys.ts'
import { createChain, type TestSigner } from './chain.ts'

const DELEGATED = 1
const ETHER = 10n ** 18n

/** Numbers of the network under test. */
export const COMMITTEE_PARAMS = {
  periodBlocks: 24n,
  epochPeriods: 2n,
  exitDelayEpochs: 4n,
  minStakeWei: ETHER,
  repayGas: 6_000_000n,
  /** Seeds from block hashes, so that a pin needs no header. */
  useBlockHash: true,
}
export type CommitteeParams = typeof COMMITTEE_PARAMS

/** An operator with stake allocated to the committee, and its key. */
export type Member = { readonly signer: TestSigner; readonly key: BlsKey; readonly stakeWei: bigint }

/** Accounts of the test mnemonic by role. Operators are accounts of their own, so that there may be any number. */
const DEPLOYER = 1
const PROVER = 2
const COURT = 3
const STRANGER = 4

/** Committee, staking and what stands for the contracts that use it, in process. */
export async function deployCommittee(overrides: Partial<CommitteeParams> = {}) {
  const params = { ...COMMITTEE_PARAMS, ...overrides }
  const chain = await createChain()
  const [deployer, prover, court, stranger] = [DEPLOYER, PROVER, COURT, STRANGER].map(chain.signer)
  if (!deployer || !prover || !court || !stranger) throw new Error('the mnemonic has fewer accounts')
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
    treasury: ZeroAddress,
  })
  const committee = await new DaCommittee__factory(deployer).deploy(beacon, staking, params)
  const user = await new CommitteeUserMock__factory(deployer).deploy(committee)
  await committee.wire(user, prover, court)
  const epochBlocks = params.periodBlocks * params.epochPeriods
  await staking.registerService(committee, DELEGATED, id('da'), epochBlocks * params.exitDelayEpochs)

  return {
    ...chain,
    chain,
    params,
    startBlock,
    epochBlocks,
    chainId: (await chain.ethers.provider.getNetwork()).chainId,
    beacon,
    registry,
    staking,
    committee,
    committeeAddress: await committee.getAddress(),
    user,
    deployer,
    prover,
    court,
    stranger,
  }
}

export type CommitteeSystem = Awaited<ReturnType<typeof deployCommittee>>

/** Operator `index` (from 0) with `stakeWei` allocated to the committee; not a member yet. */
export async function addOperator(
  { ethers, setBalance, registry, staking, committee }: CommitteeSystem,
  index: number,
  stakeWei: bigint,
): Promise<Member> {
  const address = toBeHex(0xda0000n + BigInt(index), 20)
  await setBalance(address, stakeWei + 1000n * ETHER)
  const signer = await ethers.getImpersonatedSigner(address)
  await registry.connect(signer).register('')
  if (stakeWei > 0n) {
    await staking.connect(signer).delegate(signer, { value: stakeWei })
    await staking.connect(signer).allocate(committee, stakeWei)
  }
  return { signer, key: blsKey(index), stakeWei }
}

/** Proof of possession of `key` for `signer`. */
export async function provePossession(
  { committee }: Pick<CommitteeSystem, 'committee'>,
  signer: TestSigner,
  key: BlsKey,
): Promise<string> {
  return signDigest(key, await committee.keyDigest(signer, key.publicKey))
}

/** Sends `register` for an operator, with its own key unless another is named. */
export async function joinCommittee(
  system: Pick<CommitteeSystem, 'committee'>,
  { signer, key }: Pick<Member, 'signer' | 'key'>,
  replaced: string = ZeroAddress,
) {
  const proof = await provePossession(system, signer, key)
  return system.committee.connect(signer).register(key.publicKey, proof, replaced)
}

/** Operators with these stakes, all registered as members, in slots 0, 1, … of a fresh committee. */
export async function addMembers(
  system: CommitteeSystem,
  stakesWei: readonly bigint[],
  firstIndex = 0,
): Promise<Member[]> {
  const members: Member[] = []
  for (const [i, stakeWei] of stakesWei.entries()) {
    const member = await addOperator(system, firstIndex + i, stakeWei)
    await joinCommittee(system, member)
    members.push(member)
  }
  return members
}

/** Mines so that the next transaction lands in block `offset` (1 or more) after the epoch's first. */
export async function enterEpoch(
  { mineTo, startBlock, epochBlocks }: Pick<CommitteeSystem, 'mineTo' | 'startBlock' | 'epochBlocks'>,
  epoch: bigint,
  offset = 1n,
): Promise<void> {
  await mineTo(startBlock + epoch * epochBlocks + offset - 1n)
}

/** Enters the next epoch and forms its committee. */
export async function formNextEpoch(system: CommitteeSystem): Promise<bigint> {
  const epoch = (await system.beacon.currentEpoch()) + 1n
  await enterEpoch(system, epoch)
  await system.committee.connect(system.stranger).newEpoch('0x')
  return epoch
}
