import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { getBytes } from 'ethers'
import fc from 'fast-check'
import { verifyAttestation } from '../../../sdk/protocol/attestation.ts'
import { attestationDigest, daDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { blsKey, blsKeyOf, GROUP_ORDER, signTogether } from '../../support/bls-keys.ts'
import {
  addMembers,
  addOperator,
  type CommitteeSystem,
  deployCommittee,
  formNextEpoch,
  joinCommittee,
  type Member,
} from '../../support/committee-fixture.ts'
import { at } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'

const ETHER = 10n ** 18n
const BLOB_ID = `0x${'b1'.repeat(32)}`
const NO_SIGNATURE = `0x${'00'.repeat(256)}`

describe('DaCommittee.verifyAttestation', () => {
  let system: CommitteeSystem
  let members: Member[]
  let epoch: bigint
  before(async () => {
    system = await deployCommittee()
    members = await addMembers(
      system,
      Array.from({ length: 9 }, (_, i) => BigInt(i + 1) * ETHER),
    )
    epoch = await formNextEpoch(system)
  })

  const bitsOf = (slots: readonly number[]) => slots.reduce((bits, slot) => bits | (1n << BigInt(slot)), 0n)
  const keysOf = (slots: readonly number[]) => slots.map((slot) => at(members, slot).key)
  /** The digest for a blob and an epoch: its contract stands elsewhere here, the members sign whatever it says. */
  const digestOf = (blobId: string, inEpoch: bigint) =>
    attestationDigest(daDomain(system.chainId, system.committeeAddress), { blobId, epoch: inEpoch })
  const verify = (digest: string, slots: readonly number[], signature: string, inEpoch = epoch) =>
    system.committee.verifyAttestation(inEpoch, digest, bitsOf(slots), signature)

  async function columnsOf(slots: readonly number[]): Promise<bigint> {
    let columns = 0n
    for (const slot of slots) columns |= await system.committee.columnsOf(epoch, slot)
    return columns
  }

  it('behavior: the aggregate of any subset verifies, with exactly its columns, here and in the SDK', async () => {
    const digest = digestOf(BLOB_ID, epoch)
    const all = members.map((_, slot) => slot)
    const subsets = fc.oneof(fc.constantFrom(all, [0], [8], all.slice(1)), fc.subarray(all, { minLength: 1 }))
    await fc.assert(
      fc.asyncProperty(subsets, async (slots) => {
        const signature = signTogether(keysOf(slots), digest)
        assert.equal(await verify(digest, slots, signature), await columnsOf(slots))
        const publicKeys = keysOf(slots).map(({ publicKey }) => getBytes(publicKey))
        assert.ok(verifyAttestation({ publicKeys, digest, signature: getBytes(signature) }))
      }),
      { numRuns: 25, seed: 0x2a },
    )
  })

  it('behavior: a signature says nothing about more, fewer or other signers', async () => {
    const digest = digestOf(BLOB_ID, epoch)
    const signature = signTogether(keysOf([0, 1, 2]), digest)
    for (const slots of [
      [0, 1],
      [0, 1, 2, 3],
      [3, 4, 5],
      [0, 1, 3],
      [3, 4, 5, 6, 7, 8],
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
    ])
      assert.equal(await verify(digest, slots, signature), 0n)
  })

  it('behavior: replayed for another blob, epoch, chain or contract it verifies nothing', async () => {
    const slots = [1, 4, 6, 7, 8]
    const signature = signTogether(keysOf(slots), digestOf(BLOB_ID, epoch))
    const attestation = { blobId: BLOB_ID, epoch }
    const { chainId, committeeAddress } = system
    const others = [
      digestOf(`0x${'b2'.repeat(32)}`, epoch),
      digestOf(BLOB_ID, epoch + 1n),
      attestationDigest(daDomain(chainId + 1n, committeeAddress), attestation),
      attestationDigest(daDomain(chainId, system.stranger.address), attestation),
    ]
    for (const digest of others) assert.equal(await verify(digest, slots, signature), 0n)
    assert.notEqual(await verify(digestOf(BLOB_ID, epoch), slots, signature), 0n)
  })

  it('behavior: every epoch is verified with its own keys', async () => {
    await system.rolledBack(async () => {
      const renewed = { ...at(members, 2), key: blsKey(60) }
      await joinCommittee(system, renewed)
      const next = await formNextEpoch(system)
      const sign = (digest: string, key: Member['key']) => signTogether([...keysOf([0, 1]), key], digest)
      const [old, fresh] = [digestOf(BLOB_ID, epoch), digestOf(BLOB_ID, next)]
      assert.notEqual(await verify(old, [0, 1, 2], sign(old, at(members, 2).key)), 0n)
      assert.notEqual(await verify(fresh, [0, 1, 2], sign(fresh, renewed.key), next), 0n)
      assert.equal(await verify(old, [0, 1, 2], sign(old, renewed.key)), 0n)
      assert.equal(await verify(fresh, [0, 1, 2], sign(fresh, at(members, 2).key), next), 0n)
    })
  })

  it('behavior: a member with a key but no seat is left out of the sum, and cannot sign', async () => {
    await system.rolledBack(async () => {
      const { committee, staking, params } = system
      const { signer, stakeWei } = at(members, 3)
      await staking.connect(signer).requestDeallocation(committee, stakeWei - params.minStakeWei + 1n)
      const next = await formNextEpoch(system)
      const digest = digestOf(BLOB_ID, next)
      const seated = [0, 1, 2, 4, 5, 6, 7, 8]
      const columns = await verify(digest, seated, signTogether(keysOf(seated), digest), next)
      assert.equal(columns, 2n ** 128n - 1n)
      const everybody = verify(digest, [3, ...seated], signTogether(keysOf([3, ...seated]), digest), next)
      await revertsWith(everybody, committee, 'NotSeated', [next, 3n])
    })
  })

  it('error: nobody signed, nobody sits there, no such epoch', async () => {
    const { committee } = system
    const digest = digestOf(BLOB_ID, epoch)
    const signature = signTogether(keysOf([0]), digest)
    await revertsWith(verify(digest, [], signature), committee, 'NoSigners')
    await revertsWith(verify(digest, [0, 9], signature), committee, 'NotSeated', [epoch, 9n])
    await revertsWith(verify(digest, [128], signature), committee, 'NotSeated', [epoch, 128n])
    await revertsWith(verify(digest, [255], signature), committee, 'NotSeated', [epoch, 255n])
    await revertsWith(verify(digest, [0], signature, epoch + 1n), committee, 'EpochUnknown', [epoch + 1n])
  })

  it('error: a signature of a wrong length, of infinity, or no point of the group', async () => {
    const { committee } = system
    const digest = digestOf(BLOB_ID, epoch)
    const signature = signTogether(keysOf([0]), digest)
    await revertsWith(verify(digest, [0], signature.slice(0, -2)), committee, 'WrongSignatureLength', [255n])
    await revertsWith(verify(digest, [0], '0x'), committee, 'WrongSignatureLength', [0n])
    assert.equal(await verify(digest, [0], NO_SIGNATURE), 0n)
    await revertsWith(verify(digest, [0], `0x${'01'.repeat(256)}`), committee, 'PrecompileFailed')
  })

  it('error: keys that add up to infinity, which anybody could sign for', async () => {
    await system.rolledBack(async () => {
      const { committee } = system
      const own = blsKey(61)
      const opposite = blsKeyOf(
        GROUP_ORDER - BigInt(`0x${Buffer.from(own.secret.toBytes()).toString('hex')}`),
      )
      for (const [i, key] of [own, opposite].entries()) {
        const operator = { ...(await addOperator(system, 40 + i, 20n * ETHER)), key }
        await joinCommittee(system, operator)
      }
      const next = await formNextEpoch(system)
      const digest = digestOf(BLOB_ID, next)
      await revertsWith(verify(digest, [9, 10], NO_SIGNATURE, next), committee, 'AggregateIsInfinity')
      // With honest members beside them, the pair adds nothing; these members have signed, so it counts.
      const slots = [0, 1, 2, 3, 4, 5, 6, 7, 8]
      const signature = signTogether(keysOf(slots), digest)
      assert.notEqual(await verify(digest, [...slots, 9, 10], signature, next), 0n)
    })
  })

  it('error: views outside their range', async () => {
    const { committee } = system
    await revertsWith(committee.ownerOf(epoch, 128), committee, 'ColumnOutOfRange', [128n])
    for (const view of [committee.operatorAt, committee.keyAt, committee.columnsOf])
      await revertsWith(view(epoch, 128), committee, 'SlotOutOfRange', [128n])
    for (const view of [committee.operatorAt, committee.keyAt, committee.columnsOf, committee.ownerOf])
      await revertsWith(view(epoch + 9n, 0), committee, 'EpochUnknown', [epoch + 9n])
    await revertsWith(committee.ownersOf(epoch + 9n), committee, 'EpochUnknown', [epoch + 9n])
  })
})
