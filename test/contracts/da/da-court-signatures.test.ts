import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { type BlobHeader, blobIdOf, signHeader } from '../../../sdk/protocol/blob-header.ts'
import { attestationDigest, daDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { signTogether } from '../../support/bls-keys.ts'
import { at } from '../../support/content.ts'
import {
  attest,
  BOND_WEI,
  type CourtSystem,
  deployCourt,
  encodeMatrix,
  headerOf,
  type Matrix,
  randomBlob,
} from '../../support/court-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { eventOf, eventsOf } from '../staking/fixture.ts'

const ETHER = 10n ** 18n

describe('DaCourt on double signatures', () => {
  let system: CourtSystem
  let matrix: Matrix
  let headerA: BlobHeader
  let headerB: BlobHeader
  before(async () => {
    system = await deployCourt([4n * ETHER, 4n * ETHER, 4n * ETHER, 4n * ETHER])
    matrix = await encodeMatrix([randomBlob(1)])
    headerA = await headerOf(system, matrix, 5n)
    headerB = { ...headerA, payloadHash: `0x${'ee'.repeat(32)}` }
  })

  const signed = async (header: BlobHeader, signer = system.disperser) =>
    (await signHeader(signer, header)).signature

  describe('disputeHeaders', () => {
    it('default: two headers for one nonce cost the bond, once', async () => {
      const { court, da, staking, disperser, reporter } = system
      await system.rolledBack(async () => {
        const sent = court
          .connect(reporter)
          .disputeHeaders(headerA, await signed(headerA), headerB, await signed(headerB))
        const { faultId, ...equivocation } = await eventOf(sent, court, 'DisperserEquivocated')
        assert.deepEqual(equivocation, {
          disperser: disperser.address,
          reporter: reporter.address,
          epoch: headerA.epoch,
          nonce: 5n,
        })
        const id = String(faultId)
        const before = await staking.backing(disperser, da)
        const punished = await eventsOf(court.punish(id, 5), court, 'Punished')
        assert.deepEqual(punished, [{ faultId, operator: disperser.address, slashedWei: BOND_WEI }])
        assert.equal(await staking.backing(disperser, da), before - BOND_WEI)
        assert.equal(await staking.claimable(reporter), (BOND_WEI * 3_000n) / 10_000n)
        assert.equal(await da.isConvicted(disperser), true)
        await revertsWith(court.punish(id, 5), court, 'NothingToPunish')
        // The same nonce with yet another header is the same fault.
        const headerC = { ...headerA, payloadBytes: headerA.payloadBytes - 1 }
        await revertsWith(
          court.disputeHeaders(headerC, await signed(headerC), headerB, await signed(headerB)),
          court,
          'AlreadyConvicted',
          [id],
        )
      })
    })

    it('error: one header twice, another nonce, epoch or disperser, a signature of somebody else', async () => {
      const { court } = system
      const [signatureA, signatureB] = [await signed(headerA), await signed(headerB)]
      await revertsWith(court.disputeHeaders(headerA, signatureA, headerA, signatureA), court, 'SameHeader')
      for (const other of [
        { ...headerB, nonce: 6n },
        { ...headerB, epoch: headerA.epoch + 1n },
        { ...headerB, disperser: system.reporter.address },
      ])
        await revertsWith(
          court.disputeHeaders(headerA, signatureA, other, await signed(other)),
          court,
          'NotSameNonce',
        )
      for (const wrong of [signatureA, await signed(headerB, system.reporter), '0x', `${signatureB}00`])
        await revertsWith(
          court.disputeHeaders(headerA, signatureA, headerB, wrong),
          court,
          'HeaderSignatureInvalid',
        )
    })

    it('error: a signature for another chain or contract counts nothing here', async () => {
      const { court } = system
      const elsewhere = { ...headerB, chainId: 5n }
      const strange = { ...headerB, da: system.committeeAddress }
      for (const header of [elsewhere, strange])
        await revertsWith(
          court.disputeHeaders(headerA, await signed(headerA), header, await signed(header)),
          court,
          'HeaderSignatureInvalid',
        )
    })
  })

  describe('disputeAttestations', () => {
    const evidenceOf = (slotsA: readonly number[], slotsB: readonly number[], a = headerA, b = headerB) => {
      const [left, right] = [attest(system, blobIdOf(a), slotsA), attest(system, blobIdOf(b), slotsB)]
      return {
        headerA: a,
        headerB: b,
        signersA: left.signers,
        signersB: right.signers,
        signatureA: left.signature,
        signatureB: right.signature,
      }
    }

    it('default: exactly those in both are slashed, once per nonce', async () => {
      const { court, staking, committee, members, reporter } = system
      await system.rolledBack(async () => {
        const sent = court.connect(reporter).disputeAttestations(evidenceOf([0, 1, 2], [1, 2, 3]))
        const { faultId, ...equivocation } = await eventOf(sent, court, 'AttestersEquivocated')
        assert.deepEqual(equivocation, { epoch: system.epoch, reporter: reporter.address, signers: 0b0110n })
        const id = String(faultId)
        assert.equal((await eventsOf(court.punish(id, 1), court, 'Punished')).length, 1)
        assert.equal((await eventsOf(court.punish(id, 9), court, 'Punished')).length, 1)
        await revertsWith(court.punish(id, 9), court, 'NothingToPunish')
        const backing = await Promise.all(members.map(({ signer }) => staking.backing(signer, committee)))
        const slashedWei = (4n * ETHER * 8_000n) / 10_000n
        assert.deepEqual(backing, [4n * ETHER, slashedWei, slashedWei, 4n * ETHER])

        // More evidence for the same nonce reaches only who was not slashed yet.
        const more = court.connect(reporter).disputeAttestations(evidenceOf([0, 1], [0, 1]))
        const { faultId: second } = await eventOf(more, court, 'AttestersEquivocated')
        const punished = await eventsOf(court.punish(String(second), 9), court, 'Punished')
        assert.deepEqual(
          punished.map(({ operator }) => operator),
          [at(members, 0).signer.address],
        )
        await revertsWith(
          court.disputeAttestations(evidenceOf([1, 2], [1, 2, 3])),
          court,
          'AlreadyConvicted',
          [id],
        )
      })
    })

    it('error: nobody in both, one header twice, another nonce', async () => {
      const { court } = system
      await revertsWith(court.disputeAttestations(evidenceOf([0, 1], [2, 3])), court, 'NobodySignedBoth')
      await revertsWith(
        court.disputeAttestations(evidenceOf([0], [0], headerA, headerA)),
        court,
        'SameHeader',
      )
      await revertsWith(
        court.disputeAttestations(evidenceOf([0], [0], headerA, { ...headerB, nonce: 7n })),
        court,
        'NotSameNonce',
      )
    })

    it('error: an aggregate that does not verify: swapped, of fewer, of another epoch, another contract', async () => {
      const { court, committee, members, chainId, committeeAddress, epoch } = system
      const good = evidenceOf([0, 1], [0, 1])
      const [idA, idB] = [blobIdOf(headerA), blobIdOf(headerB)]
      await revertsWith(
        court.disputeAttestations({ ...good, signatureA: good.signatureB }),
        court,
        'AttestationInvalid',
        [idA],
      )
      await revertsWith(
        court.disputeAttestations({ ...good, signersB: 0b111n }),
        court,
        'AttestationInvalid',
        [idB],
      )
      const keys = members.slice(0, 2).map(({ key }) => key)
      const wrongDomain = daDomain(chainId, committeeAddress)
      for (const digest of [
        attestationDigest(wrongDomain, { blobId: idB, epoch }),
        attestationDigest(daDomain(chainId, headerA.da), { blobId: idB, epoch: epoch + 1n }),
        attestationDigest(daDomain(chainId + 1n, headerA.da), { blobId: idB, epoch }),
      ])
        await revertsWith(
          court.disputeAttestations({ ...good, signatureB: signTogether(keys, digest) }),
          court,
          'AttestationInvalid',
          [idB],
        )
      const stranger = {
        ...good,
        signersA: good.signersA | (1n << 77n),
        signersB: good.signersB | (1n << 77n),
      }
      await revertsWith(court.disputeAttestations(stranger), committee, 'NotSeated')
      const unformed = { ...headerA, epoch: epoch + 3n }
      await revertsWith(
        court.disputeAttestations(evidenceOf([0], [0], unformed, { ...headerB, epoch: epoch + 3n })),
        committee,
        'EpochUnknown',
      )
    })

    it('error: starved of gas, a false aggregate is never taken for a valid one', async () => {
      const { court } = system
      const good = evidenceOf([0, 1], [0, 1])
      const swapped = { ...good, signatureA: good.signatureB }
      for (let gasLimit = 100_000n; gasLimit < 700_000n; gasLimit += 23_017n)
        await assert.rejects(court.disputeAttestations.staticCall(swapped, { gasLimit }))
    })
  })
})
