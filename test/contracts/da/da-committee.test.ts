import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { bls12_381 as bls } from '@noble/curves/bls12-381.js'
import { concat, dataSlice, keccak256, toBeHex, ZeroAddress } from 'ethers'
import { blsKeyDigest, committeeDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { Beacon__factory, DaCommittee__factory } from '../../../typechain-types/index.js'
import { blsKey, signDigest } from '../../support/bls-keys.ts'
import { createChain } from '../../support/chain.ts'
import {
  addMembers,
  addOperator,
  type CommitteeSystem,
  deployCommittee,
  enterEpoch,
  formNextEpoch,
  joinCommittee,
  type Member,
  provePossession,
} from '../../support/committee-fixture.ts'
import { at } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { eventOf } from '../staking/fixture.ts'

const ETHER = 10n ** 18n
const INFINITY = `0x${'00'.repeat(128)}`
const NO_SIGNATURE = `0x${'00'.repeat(256)}`

const pad = (value: bigint) => toBeHex(value, 64)

/** A point of the curve that is not in the group. */
function pointOutsideGroup(): string {
  const { Fp } = bls.fields
  for (let x = 1n; ; x++) {
    const square = Fp.add(Fp.pow(x, 3n), 4n)
    if (Fp.pow(square, (Fp.ORDER - 1n) / 2n) !== 1n) continue
    const y = Fp.sqrt(square)
    if (!bls.G1.Point.fromAffine({ x, y }).isTorsionFree()) return concat([pad(x), pad(y)])
  }
}

describe('DaCommittee.register', () => {
  let system: CommitteeSystem
  let operator: Member
  before(async () => {
    system = await deployCommittee()
    operator = await addOperator(system, 0, 5n * ETHER)
  })

  const register = (key: string, proof: string, replaced = ZeroAddress) =>
    system.committee.connect(operator.signer).register.staticCall(key, proof, replaced)

  it('default: takes the lowest free slot, in force from the next epoch on', async () => {
    const { committee } = system
    const key = operator.key.publicKey
    await system.rolledBack(async () => {
      const joined = await eventOf(joinCommittee(system, operator), committee, 'MemberRegistered')
      assert.deepEqual(joined, { operator: operator.signer.address, slot: 0n, publicKey: key })
      assert.deepEqual([...(await committee.slotOf(operator.signer))], [true, 0n])
      const epoch = await formNextEpoch(system)
      assert.equal(await committee.activeEpoch(), epoch)
      assert.equal(await committee.operatorAt(epoch, 0), operator.signer.address)
      assert.equal(await committee.keyAt(epoch, 0), key)
      assert.equal(await committee.keyAt(epoch, 1), INFINITY)
      assert.equal(await committee.columnsOf(epoch, 0), 2n ** 128n - 1n)
      const owners = await committee.ownersOf(epoch)
      assert.deepEqual([...owners], Array(128).fill(operator.signer.address))
    })
  })

  it('behavior: the digest of a proof is the typed message of the SDK', async () => {
    const domain = committeeDomain(system.chainId, system.committeeAddress)
    const { publicKey } = operator.key
    const message = { operator: operator.signer.address, keyHash: keccak256(publicKey) }
    assert.equal(await system.committee.keyDigest(operator.signer, publicKey), blsKeyDigest(domain, message))
  })

  it('error: keys and proofs of a wrong length; a missing proof of possession', async () => {
    const proof = await provePossession(system, operator.signer, operator.key)
    const { publicKey } = operator.key
    const short = dataSlice(publicKey, 0, 127)
    await revertsWith(register(short, proof), system.committee, 'WrongKeyLength', [127n])
    await revertsWith(register(`${publicKey}00`, proof), system.committee, 'WrongKeyLength', [129n])
    await revertsWith(register(publicKey, '0x'), system.committee, 'WrongSignatureLength', [0n])
    await revertsWith(register(publicKey, `${proof}00`), system.committee, 'WrongSignatureLength', [257n])
    await revertsWith(system.committee.keyDigest(operator.signer, short), system.committee, 'WrongKeyLength')
  })

  it('error: the point at infinity, whose signature anybody can make', async () => {
    await revertsWith(register(INFINITY, NO_SIGNATURE), system.committee, 'KeyIsInfinity')
  })

  it('error: a key off the curve, one that is not canonical, one outside the group', async () => {
    const { committee } = system
    const proof = await provePossession(system, operator.signer, operator.key)
    const { publicKey } = operator.key
    const [x, y] = [BigInt(dataSlice(publicKey, 0, 64)), BigInt(dataSlice(publicKey, 64))]
    const modulus = bls.fields.Fp.ORDER
    for (const bad of [
      concat([pad(x), pad(y + 1n)]),
      concat([pad(x + modulus), pad(y)]),
      concat([pad(x), pad(y + modulus)]),
    ])
      await revertsWith(register(bad, proof), committee, 'KeyNotOnCurve')
    await revertsWith(register(pointOutsideGroup(), proof), committee, 'KeyNotInSubgroup')
  })

  it('error: a proof by another key, of infinity, or malformed', async () => {
    const { committee } = system
    const { publicKey } = operator.key
    const digest = await committee.keyDigest(operator.signer, publicKey)
    await revertsWith(register(publicKey, signDigest(blsKey(99), digest)), committee, 'PopInvalid', [
      operator.signer.address,
    ])
    await revertsWith(register(publicKey, NO_SIGNATURE), committee, 'PopInvalid')
    await revertsWith(register(publicKey, `0x${'01'.repeat(256)}`), committee, 'PrecompileFailed')
  })

  it('error: a rogue key, the difference of two, which nobody can prove to possess', async () => {
    const victim = bls.G1.Point.fromAffine(affine(blsKey(1).publicKey))
    const own = blsKey(2)
    const { x, y } = bls.G1.Point.fromAffine(affine(own.publicKey)).subtract(victim).toAffine()
    const rogue = concat([pad(x), pad(y)])
    const digest = await system.committee.keyDigest(operator.signer, rogue)
    await revertsWith(register(rogue, signDigest(own, digest)), system.committee, 'PopInvalid')
  })

  it('error: a proof made for another chain, contract or operator', async () => {
    const { committee, chainId, committeeAddress, stranger, deployer, beacon, staking, params } = system
    const { publicKey } = operator.key
    const message = { operator: operator.signer.address, keyHash: keccak256(publicKey) }
    const replay = (domain: ReturnType<typeof committeeDomain>, signed = message) =>
      register(publicKey, signDigest(operator.key, blsKeyDigest(domain, signed)))
    await revertsWith(replay(committeeDomain(chainId + 1n, committeeAddress)), committee, 'PopInvalid')
    const other = await new DaCommittee__factory(deployer).deploy(beacon, staking, params)
    await revertsWith(replay(committeeDomain(chainId, await other.getAddress())), committee, 'PopInvalid')
    const domain = committeeDomain(chainId, committeeAddress)
    const theirs = { ...message, operator: stranger.address }
    await revertsWith(replay(domain, theirs), committee, 'PopInvalid')
    await replay(domain)
  })

  it('error: a key that another operator holds; its holder may come back with it', async () => {
    await system.rolledBack(async () => {
      const { committee } = system
      await joinCommittee(system, operator)
      await committee.connect(operator.signer).resign()
      const thief = await addOperator(system, 1, 5n * ETHER)
      const proof = await provePossession(system, thief.signer, operator.key)
      const theft = committee.connect(thief.signer).register(operator.key.publicKey, proof, ZeroAddress)
      await revertsWith(theft, committee, 'KeyTaken', [operator.signer.address])
      await joinCommittee(system, operator)
      assert.equal((await committee.slotOf(operator.signer)).registered, true)
    })
  })

  it('error: too little stake, or stake that has asked to leave', async () => {
    const { committee, params, staking } = system
    const poor = await addOperator(system, 2, params.minStakeWei - 1n)
    await revertsWith(joinCommittee(system, poor), committee, 'InsufficientStake', [
      poor.signer.address,
      params.minStakeWei,
      params.minStakeWei - 1n,
    ])
    await system.rolledBack(async () => {
      await staking.connect(operator.signer).requestDeallocation(committee, 5n * ETHER)
      await revertsWith(joinCommittee(system, operator), committee, 'InsufficientStake')
    })
  })
})

describe('DaCommittee members', () => {
  let system: CommitteeSystem
  let members: Member[]
  before(async () => {
    system = await deployCommittee()
    members = await addMembers(system, [2n * ETHER, 3n * ETHER, 5n * ETHER])
    await formNextEpoch(system)
  })

  const keysOf = (epoch: bigint) => Promise.all([0, 1, 2].map((slot) => system.committee.keyAt(epoch, slot)))

  it('behavior: another key of the same member counts from the next epoch on; old epochs keep the old one', async () => {
    await system.rolledBack(async () => {
      const { committee } = system
      const first = await committee.activeEpoch()
      const before = await keysOf(first)
      const member = { ...at(members, 1), key: blsKey(50) }
      const changed = await eventOf(joinCommittee(system, member), committee, 'MemberRegistered')
      assert.equal(changed.slot, 1n)
      assert.deepEqual(await keysOf(first), before)
      const second = await formNextEpoch(system)
      assert.deepEqual(await keysOf(first), before)
      assert.deepEqual(await keysOf(second), [before[0], member.key.publicKey, before[2]])
    })
  })

  it('behavior: who resigns serves this epoch to its end, and its slot is free for another', async () => {
    await system.rolledBack(async () => {
      const { committee } = system
      const epoch = await committee.activeEpoch()
      const leaver = at(members, 1)
      const left = await eventOf(committee.connect(leaver.signer).resign(), committee, 'MemberRemoved')
      assert.deepEqual(left, { operator: leaver.signer.address, slot: 1n })
      assert.deepEqual([...(await committee.slotOf(leaver.signer))], [false, 0n])
      assert.equal(await committee.operatorAt(epoch, 1), leaver.signer.address)
      const newcomer = await addOperator(system, 7, ETHER)
      await joinCommittee(system, newcomer)
      // A quiet slot first; the one that is changing is only taken when no other is free.
      assert.deepEqual([...(await committee.slotOf(newcomer.signer))], [true, 3n])
      const next = await formNextEpoch(system)
      assert.equal(await committee.operatorAt(next, 1), ZeroAddress)
      assert.equal(await committee.columnsOf(next, 1), 0n)
      const another = await addOperator(system, 8, ETHER)
      await joinCommittee(system, another)
      assert.deepEqual([...(await committee.slotOf(another.signer))], [true, 1n])
    })
  })

  it('behavior: anyone drops a member whose backing is too low; its stake stays slashable and it is not out yet', async () => {
    await system.rolledBack(async () => {
      const { committee, staking, stranger } = system
      const { signer, stakeWei } = at(members, 0)
      const drop = () => committee.connect(stranger).drop(signer)
      await revertsWith(drop(), committee, 'StakeSuffices', [signer.address, stakeWei])
      await staking.connect(signer).requestDeallocation(committee, stakeWei)
      assert.equal(await committee.isOut(signer), false)
      const dropped = await eventOf(drop(), committee, 'MemberRemoved')
      assert.deepEqual(dropped, { operator: signer.address, slot: 0n })
      await revertsWith(drop(), committee, 'NotMember', [signer.address])
    })
  })

  it('error: who is no member cannot resign', async () => {
    const { committee, stranger } = system
    await revertsWith(committee.connect(stranger).resign(), committee, 'NotMember', [stranger.address])
  })

  it('behavior: a change that is due is written before the slot changes again', async () => {
    await system.rolledBack(async () => {
      const { committee } = system
      const member = { ...at(members, 2), key: blsKey(51) }
      const first = await committee.activeEpoch()
      await joinCommittee(system, member)
      // Within the same epoch a change may be changed.
      await joinCommittee(system, { ...member, key: blsKey(52) })
      await enterEpoch(system, first + 1n)
      const late = { ...member, key: blsKey(53) }
      await revertsWith(joinCommittee(system, late), committee, 'KeysNotWritten', [2n])
      await revertsWith(committee.connect(member.signer).resign(), committee, 'KeysNotWritten', [2n])
      await eventOf(committee.writeKeys(), committee, 'KeySetWritten')
      await joinCommittee(system, late)
      const formed = await eventOf(committee.newEpoch('0x'), committee, 'EpochFormed')
      assert.equal(formed.keysWritten, false)
      assert.equal(await committee.keyAt(first + 1n, 2), blsKey(52).publicKey)
      assert.equal(await committee.keyAt(await formNextEpoch(system), 2), blsKey(53).publicKey)
    })
  })
})

describe('DaCommittee.slash', () => {
  let system: CommitteeSystem
  let member: Member
  before(async () => {
    system = await deployCommittee()
    member = at(await addMembers(system, [10n * ETHER]), 0)
  })

  const FAULT = `0x${'fa'.repeat(32)}`

  it('behavior: prover and court slash, each under its own fault ids, once; the reporter gets its part', async () => {
    await system.rolledBack(async () => {
      const { committee, staking, prover, court, stranger } = system
      const slash = (from: typeof prover) =>
        committee.connect(from).slash(member.signer, ETHER, FAULT, stranger, 1000)
      const by = async (from: typeof prover) => (await eventOf(slash(from), staking, 'Slashed')).slashedWei
      assert.equal(await by(prover), ETHER)
      await revertsWith(slash(prover), staking, 'FaultAlreadyPunished')
      assert.equal(await by(court), ETHER)
      assert.equal(await staking.claimable(stranger), ETHER / 5n)
    })
  })

  it('behavior: no reporter, no share; slashed below the minimum, a member is out', async () => {
    await system.rolledBack(async () => {
      const { committee, staking, court, params } = system
      const takenWei = member.stakeWei - params.minStakeWei
      const slash = (faultId: string, wei: bigint) =>
        committee.connect(court).slash(member.signer, wei, faultId, ZeroAddress, 0)
      await slash(FAULT, takenWei)
      assert.equal(await committee.isOut(member.signer), false)
      await slash(`0x${'fb'.repeat(32)}`, 1n)
      assert.equal(await committee.isOut(member.signer), true)
      assert.equal(await staking.burnableWei(), takenWei + 1n)
    })
  })

  it('error: nobody else', async () => {
    const { committee, deployer, stranger } = system
    for (const caller of [deployer, stranger, member.signer]) {
      const slash = committee.connect(caller).slash(member.signer, 1n, FAULT, ZeroAddress, 0)
      await revertsWith(slash, committee, 'NotAuthorized', [caller.address])
    }
  })
})

describe('DaCommittee, deployed', () => {
  it('error: on a chain without the precompiles of Prague', async () => {
    const { signer } = await createChain('cancun')
    const [owner, factory] = [signer(0), new DaCommittee__factory(signer(0))]
    const beacon = await new Beacon__factory(owner).deploy(0, 10, 2, true)
    const deployed = factory.deploy(beacon, beacon, { minStakeWei: 1n, repayGas: 1n })
    await revertsWith(deployed, { interface: factory.interface }, 'PrecompileFailed')
  })
})

describe('DaCommittee.wire', () => {
  it('error: by another than the deployer, twice, or to nothing; a minimum of nothing', async () => {
    const { deployer, stranger, prover, court, beacon, staking, user, params } = await deployCommittee()
    const fresh = await new DaCommittee__factory(deployer).deploy(beacon, staking, params)
    await revertsWith(fresh.connect(stranger).wire(user, prover, court), fresh, 'NotDeployer', [
      stranger.address,
    ])
    await revertsWith(fresh.wire(user, prover, ZeroAddress), fresh, 'InvalidParams')
    await fresh.wire(user, prover, court)
    await revertsWith(fresh.wire(user, prover, court), fresh, 'AlreadyWired')
    const nothing = new DaCommittee__factory(deployer).deploy(beacon, staking, { ...params, minStakeWei: 0n })
    await revertsWith(nothing, fresh, 'InvalidParams')
    const { minStakeWei, repayGas } = await fresh.params()
    assert.deepEqual([minStakeWei, repayGas], [params.minStakeWei, params.repayGas])
  })
})

function affine(publicKey: string): { x: bigint; y: bigint } {
  return { x: BigInt(dataSlice(publicKey, 0, 64)), y: BigInt(dataSlice(publicKey, 64)) }
}
