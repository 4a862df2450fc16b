import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { dataSlice, keccak256, ZeroAddress } from 'ethers'
import { assignColumns } from '../../../sdk/protocol/seats.ts'
import { blsKey } from '../../support/bls-keys.ts'
import {
  addMembers,
  addOperator,
  type CommitteeSystem,
  deployCommittee,
  enterEpoch,
  formNextEpoch,
  joinCommittee,
  type Member,
} from '../../support/committee-fixture.ts'
import { at } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { eventOf } from '../staking/fixture.ts'
import { headerRlp } from '../staking/header-rlp.ts'

const ETHER = 10n ** 18n
const COLUMNS = 128

/** The slot of every column in `epoch`, as the contract stores it. */
async function columnSlotsOf({ committee }: CommitteeSystem, epoch: bigint): Promise<number[]> {
  const { columnSlots } = await committee.epochOf(epoch)
  return [...columnSlots].flatMap((word) => [...Buffer.from(word.slice(2), 'hex')])
}

describe('DaCommittee.newEpoch', () => {
  let system: CommitteeSystem
  let members: Member[]
  before(async () => {
    system = await deployCommittee()
    members = await addMembers(
      system,
      [2, 3, 5, 7, 11, 13].map((ether) => BigInt(ether) * ETHER),
    )
  })

  it('default: seats by the stake at the start of the epoch, as the SDK apportions and shuffles them', async () => {
    await system.rolledBack(async () => {
      const { committee, staking, beacon, params, stranger } = system
      const epoch = (await beacon.currentEpoch()) + 1n
      await enterEpoch(system, epoch)
      const formed = await eventOf(committee.connect(stranger).newEpoch('0x'), committee, 'EpochFormed')
      const totalWei = members.reduce((sum, { stakeWei }) => sum + stakeWei, 0n)
      const seed = await beacon.seedOf(epoch * params.epochPeriods)
      const { keySet, seatWei, seated, keyed } = await committee.epochOf(epoch)
      assert.deepEqual(formed, {
        epoch,
        seed,
        totalWei,
        members: 6n,
        keySet,
        keysWritten: true,
        caller: stranger.address,
        repaidWei: 0n,
      })
      assert.deepEqual([seatWei, seated, keyed], [totalWei / 128n, 0b111111n, 0b111111n])
      const weights = await Promise.all(
        members.map(({ signer }) => staking.allocationAt(signer, committee, epoch)),
      )
      const expected = assignColumns(weights, seed)
      assert.deepEqual(await columnSlotsOf(system, epoch), expected)
      const owners = await committee.ownersOf(epoch)
      for (const [column, slot] of expected.entries()) {
        const { signer } = at(members, slot)
        assert.equal(at(owners, column), signer.address)
        assert.equal(await committee.ownerOf(epoch, column), signer.address)
      }
      let all = 0n
      for (const slot of members.keys()) {
        const columns = await committee.columnsOf(epoch, slot)
        assert.equal(all & columns, 0n)
        all |= columns
      }
      assert.equal(all, 2n ** 128n - 1n)
    })
  })

  it('behavior: nothing done within the epoch, with its seed in view, changes its seats', async () => {
    await system.rolledBack(async () => {
      const { committee, staking, beacon, ethers, params } = system
      const newcomer = await addOperator(system, 30, 9n * ETHER)
      const epoch = (await beacon.currentEpoch()) + 1n
      await enterEpoch(system, epoch)
      await beacon.pin(epoch * params.epochPeriods, '0x')
      // The members' own registrations are due in this epoch: they must be written before they may be changed.
      await committee.writeKeys()
      const seats = (meddle: () => Promise<unknown>) =>
        system.rolledBack(async () => {
          await meddle()
          await committee.newEpoch('0x')
          const { keySet } = await committee.epochOf(epoch)
          const owners = await committee.ownersOf(epoch)
          return [keccak256(await ethers.provider.getCode(keySet)), owners.join()]
        })
      const untouched = await seats(async () => {})
      const [first, second, third, fourth] = [0, 1, 2, 3].map((slot) => at(members, slot))
      assert.ok(first && second && third && fourth)
      const meddling = [
        () => committee.connect(first.signer).resign(),
        () => joinCommittee(system, { ...second, key: blsKey(70) }),
        () => joinCommittee(system, newcomer),
        () => staking.connect(third.signer).delegate(third.signer, { value: ETHER }),
        async () => {
          await staking.connect(fourth.signer).requestDeallocation(committee, fourth.stakeWei)
          await committee.drop(fourth.signer)
        },
      ]
      for (const [index, meddle] of meddling.entries())
        assert.deepEqual(await seats(meddle), untouched, `case ${index}`)
    })
  })

  it('behavior: not formed, the last committee stays', async () => {
    await system.rolledBack(async () => {
      const { committee, beacon } = system
      assert.equal(await committee.activeEpoch(), 0n)
      assert.equal((await committee.epochOf(0)).keySet, ZeroAddress)
      const first = await formNextEpoch(system)
      await enterEpoch(system, first + 3n)
      assert.equal(await beacon.currentEpoch(), first + 3n)
      assert.equal(await committee.activeEpoch(), first)
      await revertsWith(committee.ownerOf(first + 1n, 0), committee, 'EpochUnknown', [first + 1n])
      await committee.newEpoch('0x')
      assert.equal(await committee.activeEpoch(), first + 3n)
      assert.equal((await committee.epochOf(first + 1n)).keySet, ZeroAddress)
    })
  })

  it('behavior: keys are written only when they changed; what left leaves nothing behind', async () => {
    await system.rolledBack(async () => {
      const { committee, ethers } = system
      const first = await formNextEpoch(system)
      const { keySet } = await committee.epochOf(first)
      await enterEpoch(system, first + 1n)
      const second = await eventOf(committee.newEpoch('0x'), committee, 'EpochFormed')
      assert.deepEqual([second.keySet, second.keysWritten], [keySet, false])
      for (const { signer } of members.slice(1)) await committee.connect(signer).resign()
      await enterEpoch(system, first + 2n)
      const third = await eventOf(committee.newEpoch('0x'), committee, 'EpochFormed')
      assert.equal(third.keysWritten, true)
      const code = await ethers.provider.getCode(String(third.keySet))
      // STOP, the sum of one key, that key and its operator, and 127 empty slots.
      const { key, signer } = at(members, 0)
      const body = `00${key.publicKey.slice(2)}${key.publicKey.slice(2)}${signer.address.slice(2).toLowerCase()}`
      assert.equal(code, `0x${body}${'00'.repeat(127 * 148)}`)
      assert.equal(dataSlice(await ethers.provider.getCode(keySet), 0, 1), '0x00')
      assert.equal((await committee.epochOf(first + 2n)).keyed, 1n)
    })
  })

  it('behavior: who has less than the minimum when the epoch begins has no seat in it', async () => {
    await system.rolledBack(async () => {
      const { committee, staking, beacon, params } = system
      const { signer, stakeWei } = at(members, 4)
      await staking.connect(signer).requestDeallocation(committee, stakeWei - params.minStakeWei + 1n)
      const epoch = await formNextEpoch(system)
      const weights = members.map((member, slot) => (slot === 4 ? 0n : member.stakeWei))
      const seed = await beacon.seedOf(epoch * params.epochPeriods)
      assert.deepEqual(await columnSlotsOf(system, epoch), assignColumns(weights, seed))
      assert.equal(await committee.columnsOf(epoch, 4), 0n)
      assert.equal((await committee.epochOf(epoch)).seated, 0b101111n)
      await staking.connect(signer).cancelDeallocation(committee)
      assert.notEqual(await committee.columnsOf(await formNextEpoch(system), 4), 0n)
    })
  })

  it('error: a second time, without members, with an unreachable seed', async () => {
    await system.rolledBack(async () => {
      const { committee } = system
      const epoch = await formNextEpoch(system)
      await revertsWith(committee.newEpoch('0x'), committee, 'EpochAlreadyFormed', [epoch])
    })
    const empty = await deployCommittee()
    const epoch = (await empty.beacon.currentEpoch()) + 1n
    await enterEpoch(empty, epoch)
    await revertsWith(empty.committee.newEpoch('0x'), empty.committee, 'NoMembers', [epoch])
    const withHeader = await deployCommittee({ useBlockHash: false })
    await addMembers(withHeader, [ETHER])
    await enterEpoch(withHeader, (await withHeader.beacon.currentEpoch()) + 1n)
    await revertsWith(withHeader.committee.newEpoch('0x'), withHeader.beacon, 'HeaderMismatch')
  })

  it('behavior: everybody has left: no committee forms, the last one stays, and newcomers start afresh', async () => {
    await system.rolledBack(async () => {
      const { committee } = system
      const first = await formNextEpoch(system)
      for (const { signer } of members) await committee.connect(signer).resign()
      await enterEpoch(system, first + 1n)
      await revertsWith(committee.newEpoch('0x'), committee, 'NoMembers', [first + 1n])
      assert.equal(await committee.activeEpoch(), first)
      const newcomer = await addOperator(system, 31, ETHER)
      await joinCommittee(system, newcomer)
      const next = await formNextEpoch(system)
      assert.deepEqual([...(await committee.ownersOf(next))], Array(COLUMNS).fill(newcomer.signer.address))
    })
  })

  it('behavior: the header of the epoch’s first block pins its seed on the way', async () => {
    const own = await deployCommittee({ useBlockHash: false })
    await addMembers(own, [ETHER, 2n * ETHER])
    const { committee, beacon, provider, params, startBlock, epochBlocks } = own
    const epoch = (await beacon.currentEpoch()) + 1n
    const boundary = startBlock + epoch * epochBlocks
    await enterEpoch(own, epoch, 0n)
    await provider.request({ method: 'evm_mine', params: [] })
    const block = (await provider.request({
      method: 'eth_getBlockByNumber',
      params: [`0x${boundary.toString(16)}`, false],
    })) as Record<string, unknown>
    const formed = await eventOf(committee.newEpoch(headerRlp(block)), committee, 'EpochFormed')
    assert.equal(formed.seed, block.mixHash)
    assert.equal(await beacon.seedOf(epoch * params.epochPeriods), block.mixHash)
  })
})

describe('DaCommittee.newEpoch, repaid', () => {
  let system: CommitteeSystem
  before(async () => {
    system = await deployCommittee()
    await addMembers(system, [ETHER, ETHER])
    await enterEpoch(system, (await system.beacon.currentEpoch()) + 1n)
  })

  async function form(
    { committee, user, stranger, ethers }: CommitteeSystem,
    potWei: bigint,
    refuses: boolean,
  ) {
    await user.setPot(potWei, refuses)
    const sent = await committee.connect(stranger).newEpoch('0x')
    const receipt = await sent.wait()
    assert.ok(receipt)
    const { baseFeePerGas } = (await ethers.provider.getBlock(receipt.blockNumber)) ?? {}
    assert.ok(baseFeePerGas)
    const { repaidWei } = await eventOf(Promise.resolve(sent), committee, 'EpochFormed')
    assert.equal(await user.creditOf(stranger), repaidWei)
    return { repaidWei: BigInt(String(repaidWei)), gasUsed: receipt.gasUsed, baseFeePerGas }
  }

  it('default: most of its gas at the base fee, never more than it cost', async () => {
    await system.rolledBack(async () => {
      const { repaidWei, gasUsed, baseFeePerGas } = await form(system, ETHER, false)
      assert.ok(repaidWei <= gasUsed * baseFeePerGas, `${repaidWei} for ${gasUsed} gas`)
      assert.ok(repaidWei * 100n >= gasUsed * baseFeePerGas * 98n, `${repaidWei} for ${gasUsed} gas`)
    })
  })

  it('behavior: no more than the pot has; a pot that refuses stops nothing', async () => {
    await system.rolledBack(async () => assert.equal((await form(system, 7n, false)).repaidWei, 7n))
    await system.rolledBack(async () => assert.equal((await form(system, ETHER, true)).repaidWei, 0n))
  })

  it('behavior: no more than the parameter allows', async () => {
    const own = await deployCommittee({ repayGas: 1000n })
    await addMembers(own, [ETHER])
    await enterEpoch(own, (await own.beacon.currentEpoch()) + 1n)
    const { repaidWei, baseFeePerGas } = await form(own, ETHER, false)
    assert.equal(repaidWei, 1000n * baseFeePerGas)
  })

  it('error: too little gas to be repaid', async () => {
    const own = await deployCommittee()
    await addMembers(own, [ETHER])
    await enterEpoch(own, (await own.beacon.currentEpoch()) + 1n, 2n)
    const form = own.committee.connect(own.stranger).newEpoch
    const neededGas = await form.estimateGas('0x')
    await revertsWith(
      form.staticCall('0x', { gasLimit: neededGas - 50_000n }),
      own.committee,
      'PaymentStarved',
    )
    await form.staticCall('0x', { gasLimit: neededGas })
  })
})
