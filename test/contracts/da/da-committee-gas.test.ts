import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ContractTransactionResponse } from 'ethers'
import { blsKey, signTogether } from '../../support/bls-keys.ts'
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
import { compareGas, type GasFigure } from '../../support/gas-snapshot.ts'
import { revertsWith } from '../../support/reverts.ts'

const ETHER = 10n ** 18n
const SLOTS = 128
const DIGEST = `0x${'d1'.repeat(32)}`

const figures: Record<string, GasFigure> = {}

async function gasOf(transaction: Promise<ContractTransactionResponse>): Promise<bigint> {
  const receipt = await (await transaction).wait()
  assert.equal(receipt?.status, 1)
  return receipt.gasUsed
}

describe('DaCommittee with 128 members', () => {
  let system: CommitteeSystem
  let members: Member[]
  let epoch: bigint
  before(async () => {
    system = await deployCommittee({ repayGas: 20_000_000n })
    await system.user.setPot(100n * ETHER, false)
    members = await addMembers(system, Array(SLOTS - 1).fill(2n * ETHER))
    const last = await addOperator(system, SLOTS - 1, 2n * ETHER)
    const proof = await provePossession(system, last.signer, last.key)
    const { committee } = system
    figures.register = {
      gas: await gasOf(committee.connect(last.signer).register(last.key.publicKey, proof, last.signer)),
      limit: 450_000n,
    }
    members.push(last)
    epoch = (await system.beacon.currentEpoch()) + 1n
    await enterEpoch(system, epoch)
    figures.newEpochAllKeysWritten = { gas: await gasOf(committee.newEpoch('0x')), limit: 8_000_000n }
  })
  after(() => {
    compareGas('daCommittee', figures)
  })

  const allBut = (missing: number) => members.map((_, slot) => slot).slice(missing)
  const bitsOf = (slots: readonly number[]) => slots.reduce((bits, slot) => bits | (1n << BigInt(slot)), 0n)

  it('behavior: equal stakes, one column each', async () => {
    const { committee } = system
    assert.equal(new Set(await committee.ownersOf(epoch)).size, SLOTS)
    assert.equal((await committee.epochOf(epoch)).seated, 2n ** BigInt(SLOTS) - 1n)
  })

  it('behavior: an attestation verifies within what is left of a confirmation for it, whoever signs', async () => {
    const { committee, user } = system
    for (const signers of [1, 63, 64, 65, 86, 107, 127, 128]) {
      const slots = allBut(SLOTS - signers)
      const signature = signTogether(
        slots.map((slot) => at(members, slot).key),
        DIGEST,
      )
      const { columns, gasUsed } = await user.meter(epoch, DIGEST, bitsOf(slots), signature)
      let expected = 0n
      for (const slot of slots) expected |= await committee.columnsOf(epoch, slot)
      assert.equal(columns, expected)
      const limit = signers < 86 ? 245_000n : 235_000n
      figures[`verifyAttestationBy${signers}`] = { gas: gasUsed, limit }
    }
  })

  it('behavior: epochs without changes, with one, and with all keys changed', async () => {
    await system.rolledBack(async () => {
      const { committee, beacon } = system
      const form = async () => {
        await enterEpoch(system, (await beacon.currentEpoch()) + 1n)
        return gasOf(committee.newEpoch('0x'))
      }
      figures.newEpochNoKeysWritten = { gas: await form(), limit: 2_500_000n }
      await joinCommittee(system, { ...at(members, 77), key: blsKey(900) })
      figures.newEpochOneKeyChanged = { gas: await form(), limit: 7_000_000n }
    })
  })

  it('behavior: a full committee: who wants in names a weaker member, and takes its slot', async () => {
    await system.rolledBack(async () => {
      const { committee, staking } = system
      const weak = at(members, 40)
      const newcomer = await addOperator(system, 200, 2n * ETHER)
      const join = (replaced?: string) => joinCommittee(system, newcomer, replaced)
      await revertsWith(join(), committee, 'CommitteeFull')
      await revertsWith(join(system.stranger.address), committee, 'NotMember', [system.stranger.address])
      await revertsWith(join(weak.signer.address), committee, 'NotWeaker', [
        weak.signer.address,
        2n * ETHER,
        2n * ETHER,
      ])
      await staking.connect(newcomer.signer).delegate(newcomer.signer, { value: 1n })
      await staking.connect(newcomer.signer).allocate(committee, 1n)
      await join(weak.signer.address)
      assert.deepEqual([...(await committee.slotOf(newcomer.signer))], [true, 40n])
      assert.equal((await committee.slotOf(weak.signer)).registered, false)
      assert.equal(await committee.operatorAt(epoch, 40), weak.signer.address)
      const next = await formNextEpoch(system)
      assert.equal(await committee.operatorAt(next, 40), newcomer.signer.address)
      await revertsWith(joinCommittee(system, weak), committee, 'CommitteeFull')
    })
  })
})
