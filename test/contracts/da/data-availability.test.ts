import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { Signature } from 'ethers'
import { type BlobHeader, blobIdOf, signHeader } from '../../../sdk/protocol/blob-header.ts'
import { attestationDigest, daDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { ReentrantReceiverMock__factory } from '../../../typechain-types/index.js'
import { at } from '../../support/content.ts'
import {
  columnsHeld,
  draftConfirmation,
  draftHeader,
  type EncodedBlob,
  encodeRandom,
  feeOf,
  publishBlob,
  submitBlob,
} from '../../support/da-blobs.ts'
import { type DaSystem, deployDa, enterEpoch } from '../../support/da-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { currentPeriod, enterPeriod } from '../../support/storage-fixture.ts'

const [SUBMITTED, SOFT, FINAL, REFUNDED] = [1n, 2n, 3n, 4n]
/** Of 8 members with 16 columns each. */
const [SOFT_MEMBERS, FINAL_MEMBERS] = [6, 7]

/** Half the order of secp256k1: a signature with a higher s is malleable. */
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

const encoded = await encodeRandom(5000)
const two = await encodeRandom(126_976)

/** Runs each test on the same system, which it leaves as it was. */
function withSystem(members = 8) {
  let system: DaSystem
  before(async () => {
    system = await deployDa({ members })
  })
  return (work: (system: DaSystem) => Promise<void>) => () => system.rolledBack(() => work(system))
}

async function submitChanged(system: DaSystem, changes: Partial<BlobHeader>, blob: EncodedBlob = encoded) {
  const signed = await signHeader(system.disperser, await draftHeader(system, blob, changes))
  return system.da.connect(system.publisher).submit(signed.header, signed.signature, { value: 10n ** 18n })
}

describe('DataAvailability: ids', () => {
  const on = withSystem(1)

  it(
    'default: blob id and attestation are what the TypeScript twins say',
    on(async (system) => {
      const { da, chainId } = system
      const header = await draftHeader(system, encoded)
      const blobId = await da.blobIdOf(header)
      assert.equal(blobId, blobIdOf(header))
      const domain = daDomain(chainId, await da.getAddress())
      assert.equal(await da.attestationDigest(blobId, 7n), attestationDigest(domain, { blobId, epoch: 7n }))
    }),
  )
})

describe('DataAvailability.submit', () => {
  const on = withSystem()

  it(
    'default: anybody pays for a signed header; what is paid too much is credited',
    on(async (system) => {
      const { da, publisher, disperser, params } = system
      const draft = await draftHeader(system, two)
      const feeWei = await feeOf(system, draft)
      assert.equal(
        feeWei,
        2n * params.pricePerBlobPeriodWei * (draft.expiresAt - (await currentPeriod(system))),
      )
      const { blobId, header } = await submitBlob(system, two, { valueWei: feeWei + 5n })
      const blob = await da.blobOf(blobId)
      assert.equal(blob.status, SUBMITTED)
      assert.deepEqual([blob.disperser, blob.payer], [disperser.address, publisher.address])
      assert.deepEqual(
        [blob.epoch, blob.nonce, blob.number, blob.blobCount, blob.expiresAt],
        [header.epoch, header.nonce, 1n, 2n, header.expiresAt],
      )
      assert.deepEqual([blob.commitmentsRoot, blob.cellsRoot], [header.commitmentsRoot, header.cellsRoot])
      assert.equal(blob.submittedAtBlock, await system.head())
      assert.equal(blob.confirmBy, blob.submittedAtBlock + params.confirmBlocks)
      assert.deepEqual([blob.feeWei, blob.columns, blob.forfeited, blob.finalAtBlock], [feeWei, 0n, 0n, 0n])
      assert.equal(await da.creditOf(publisher), 5n)
      assert.equal(await da.accountedWei(), feeWei + 5n)
      assert.deepEqual([await da.blobAt(1n), await da.blobTotal()], [blobId, 1n])
      assert.equal(await da.isNonceUsed(disperser, header.epoch, header.nonce), true)
      assert.equal(await da.isFinal(blobId), false)
    }),
  )

  it(
    'error: another version, chain, contract or epoch, a length that is not that of so many blobs',
    on(async (system) => {
      const { da, prover, chainId } = system
      const [address, other] = [await da.getAddress(), await prover.getAddress()]
      const refused = (changes: Partial<BlobHeader>, name: string, args: unknown[]) =>
        revertsWith(submitChanged(system, changes), da, name, args)
      await refused({ version: 2 }, 'WrongVersion', [2n])
      await refused({ chainId: chainId + 1n }, 'WrongChain', [chainId, chainId + 1n])
      await refused({ da: other }, 'WrongContract', [address, other])
      const active = await system.committee.activeEpoch()
      await refused({ epoch: active + 1n }, 'WrongEpoch', [active, active + 1n])
      await refused({ epoch: active - 1n }, 'WrongEpoch', [active, active - 1n])
      for (const [blobCount, payloadBytes] of [
        [1, 0],
        [2, 126_945],
        [1, 126_946],
        [0, 1],
        [257, 257 * 126_976 - 31],
      ] as const)
        await refused({ blobCount, payloadBytes }, 'BlobCountMismatch', [
          BigInt(blobCount),
          BigInt(payloadBytes),
        ])
      await submitChanged(system, { blobCount: 1, payloadBytes: 126_945 })
      await submitChanged(system, { blobCount: 256, payloadBytes: 256 * 126_976 - 31 })
    }),
  )

  it(
    'error: an expiry too early, too late, or on no bucket',
    on(async (system) => {
      const { da, params } = system
      const period = (await currentPeriod(system)) + 1n
      const bucket = params.bucketPeriods
      const entered = ((period + bucket - 1n) / bucket) * bucket + bucket - params.minRetentionPeriods
      await enterPeriod(system, entered)
      const [earliest, latest] = [entered + params.minRetentionPeriods, entered + params.maxRetentionPeriods]
      const epoch = await system.committee.activeEpoch()
      const refused = (expiresAt: bigint) =>
        revertsWith(submitChanged(system, { expiresAt, epoch }), da, 'WrongExpiry', [
          expiresAt,
          earliest,
          latest,
        ])
      for (const expiresAt of [earliest - bucket, earliest - 1n, earliest + 1n, latest + 1n, 2n ** 64n - 1n])
        await refused(expiresAt)
      await submitChanged(system, { expiresAt: earliest })
      await submitChanged(system, { expiresAt: latest - (latest % bucket) })
    }),
  )

  it(
    'error: an expiry beyond the time in which the committee’s stake can be slashed, when no new one was formed',
    on(async (system) => {
      const { da, committee, params } = system
      const epoch = await committee.activeEpoch()
      const slashableUntil = (epoch + params.exitDelayEpochs) * params.epochPeriods
      const period = slashableUntil - params.disputePeriods - params.minRetentionPeriods + 1n
      await enterPeriod(system, period)
      const expiresAt = ((period + params.minRetentionPeriods) / 5n + 1n) * 5n
      const bounds = [period + params.minRetentionPeriods, slashableUntil - params.disputePeriods]
      await revertsWith(submitChanged(system, { expiresAt }), da, 'WrongExpiry', [expiresAt, ...bounds])
      await enterEpoch(system, (await system.beacon.currentEpoch()) + 1n)
      await committee.newEpoch('0x')
      await submitChanged(system, { expiresAt })
    }),
  )

  it(
    'error: a nonce twice, whatever the header; the same nonce counts anew in another epoch',
    on(async (system) => {
      const { da, disperser, committee } = system
      const { header, signature, blobId } = await submitBlob(system, encoded, { changes: { nonce: 300n } })
      const again = da.submit(header, signature, { value: 10n ** 18n })
      await revertsWith(again, da, 'AlreadySubmitted', [blobId])
      await revertsWith(submitChanged(system, { nonce: 300n }, two), da, 'NonceUsed', [
        disperser.address,
        header.epoch,
        300n,
      ])
      await submitChanged(system, { nonce: 301n })
      await submitChanged(system, { nonce: 2n ** 64n - 1n })
      await enterEpoch(system, header.epoch + 1n)
      await committee.newEpoch('0x')
      await submitChanged(system, { nonce: 300n })
    }),
  )

  it(
    'error: signed by another, for another header, with the high s, or cut short',
    on(async (system) => {
      const { da, stranger, disperser } = system
      const header = await draftHeader(system, encoded)
      const { signature } = await signHeader(disperser, header)
      const { r, s, yParity } = Signature.from(signature)
      const high = CURVE_ORDER - BigInt(s)
      const malleable = `${r}${high.toString(16).padStart(64, '0')}${(28 - yParity).toString(16)}`
      for (const wrong of [
        (await signHeader(stranger, header)).signature,
        (await signHeader(disperser, { ...header, nonce: header.nonce + 1n })).signature,
        malleable,
        signature.slice(0, -2),
        '0x',
      ]) {
        const sent = da.submit(header, wrong, { value: 10n ** 18n })
        await revertsWith(sent, da, 'DisperserSignatureInvalid', [disperser.address])
      }
    }),
  )

  it(
    'error: underpaid by a wei',
    on(async (system) => {
      const { da } = system
      const header = await draftHeader(system, encoded)
      const feeWei = await feeOf(system, header)
      const sent = submitBlob(system, encoded, { valueWei: feeWei - 1n })
      await revertsWith(sent, da, 'Underpaid', [feeWei, feeWei - 1n])
    }),
  )

  it(
    'error: a disperser without its bond, by de-allocation too, or with a conviction',
    on(async (system) => {
      const { da, staking, disperser, stranger, court, params } = system
      const header = await draftHeader(system, encoded, { disperser: stranger.address })
      const { signature } = await signHeader(stranger, header)
      const sent = da.submit(header, signature, { value: 10n ** 18n })
      await revertsWith(sent, da, 'InsufficientBond', [stranger.address, params.bondWei, 0n])

      await staking.connect(disperser).requestDeallocation(da, params.bondWei)
      await submitBlob(system, encoded)
      await staking.connect(disperser).requestDeallocation(da, 1n)
      await revertsWith(submitBlob(system, encoded), da, 'InsufficientBond', [
        disperser.address,
        params.bondWei,
        params.bondWei - 1n,
      ])
      await staking.connect(disperser).cancelDeallocation(da)
      await submitBlob(system, encoded)
      await da.connect(court).slashDisperser(disperser, `0x${'f1'.repeat(32)}`, stranger, 1000n)
      await revertsWith(submitBlob(system, encoded), da, 'DisperserConvicted', [disperser.address])
    }),
  )

  it('error: before any committee was formed', async () => {
    const system = await deployDa({ members: 0 })
    await revertsWith(submitBlob(system, encoded), system.da, 'NoCommittee')
  })
})

describe('DataAvailability.confirm', () => {
  const on = withSystem()

  it(
    'default: a soft quorum, then a final one; the line gets the blob once',
    on(async (system) => {
      const { da, prover, members } = system
      const submitted = await submitBlob(system, two)
      const { blobId, header } = submitted
      await da.confirm(await draftConfirmation(system, submitted, members.slice(0, SOFT_MEMBERS)))
      let blob = await da.blobOf(blobId)
      assert.equal(blob.status, SOFT)
      assert.equal(blob.columns, await columnsHeld(system, header.epoch, members.slice(0, SOFT_MEMBERS)))
      assert.deepEqual([blob.confirmedAtBlock, blob.finalAtBlock], [await system.head(), 0n])
      assert.equal(await da.isFinal(blobId), false)
      assert.deepEqual([...(await prover.entry(0n))], [0n, 256n, 1n])

      await da.confirm(await draftConfirmation(system, submitted, members.slice(0, FINAL_MEMBERS)))
      const finalAt = await system.head()
      blob = await da.blobOf(blobId)
      assert.deepEqual([blob.status, blob.finalAtBlock], [FINAL, finalAt])
      assert.equal(await da.isFinal(blobId), true)

      await da.confirm(await draftConfirmation(system, submitted, members))
      blob = await da.blobOf(blobId)
      assert.deepEqual([blob.status, blob.finalAtBlock, blob.columns], [FINAL, finalAt, (1n << 128n) - 1n])
      assert.equal(blob.confirmedAtBlock, await system.head())
      assert.equal(await prover.entryCount(), 1n)
    }),
  )

  it(
    'behavior: a final quorum at once',
    on(async (system) => {
      const { blobId } = await publishBlob(system, encoded, { members: system.members.slice(1) })
      assert.equal((await system.da.blobOf(blobId)).status, FINAL)
    }),
  )

  it(
    'error: fewer columns than a soft quorum; columns lost, or none added',
    on(async (system) => {
      const { da, members } = system
      const submitted = await submitBlob(system, encoded)
      const by = (first: number, past: number) =>
        draftConfirmation(system, submitted, members.slice(first, past))
      await revertsWith(da.confirm(await by(0, 5)), da, 'TooFewColumns', [80n, 86n])
      await da.confirm(await by(0, 6))
      const held = (await da.blobOf(submitted.blobId)).columns
      await revertsWith(da.confirm(await by(0, 6)), da, 'NothingAdded', [held, held])
      await revertsWith(da.confirm(await by(1, 8)), da, 'NothingAdded')
    }),
  )

  it(
    'error: signatures of others, over another blob, epoch or chain, or one signer more than signed',
    on(async (system) => {
      const { da, members, chainId } = system
      const submitted = await submitBlob(system, encoded)
      const other = await submitBlob(system, encoded)
      const { blobId, header } = submitted
      const good = await draftConfirmation(system, submitted, members)
      const invalid = (changes: Partial<typeof good>) =>
        revertsWith(da.confirm({ ...good, ...changes }), da, 'AttestationInvalid', [blobId])
      await invalid({ signature: (await draftConfirmation(system, other, members)).signature })
      await invalid({ signature: (await draftConfirmation(system, submitted, members.slice(1))).signature })
      await invalid({ signers: (await draftConfirmation(system, submitted, members.slice(1))).signers })
      await revertsWith(da.confirm({ ...good, chainId: chainId + 1n }), da, 'WrongChain', [
        chainId,
        chainId + 1n,
      ])
      const epoch = header.epoch + 1n
      await revertsWith(da.confirm({ ...good, epoch }), da, 'WrongEpoch', [header.epoch, epoch])
      const unknown = `0x${'ab'.repeat(32)}`
      await revertsWith(da.confirm({ ...good, blobId: unknown }), da, 'BlobUnknown', [unknown])
      await da.confirm(good)
    }),
  )

  it(
    'behavior: the epoch of the header counts, also when a newer committee is active',
    on(async (system) => {
      const { da, committee, members, beacon, clock, params } = system
      const next = (await beacon.currentEpoch()) + 1n
      await system.mineTo(clock.startBlock + next * params.epochPeriods * clock.periodBlocks - 4n)
      const submitted = await submitBlob(system, encoded)
      await enterEpoch(system, next)
      await committee.newEpoch('0x')
      assert.equal(await committee.activeEpoch(), submitted.header.epoch + 1n)
      await da.confirm(await draftConfirmation(system, submitted, members))
      assert.equal((await da.blobOf(submitted.blobId)).epoch, submitted.header.epoch)
    }),
  )

  it(
    'error: the block in which the time is over; the one before is in time',
    on(async (system) => {
      const { da, members } = system
      const submitted = await submitBlob(system, encoded)
      const { confirmBy } = await da.blobOf(submitted.blobId)
      const draft = await draftConfirmation(system, submitted, members)
      await system.rolledBack(async () => {
        await system.mineTo(confirmBy - 2n)
        await da.confirm(draft)
      })
      await system.mineTo(confirmBy - 1n)
      await revertsWith(da.confirm(draft), da, 'ConfirmationClosed', [submitted.blobId, confirmBy])
    }),
  )

  it(
    'error: a convicted blob; one that was final before stays final',
    on(async (system) => {
      const { da, members, court } = system
      const submitted = await submitBlob(system, encoded)
      await da.connect(court).convict(submitted.blobId, 1n)
      const draft = await draftConfirmation(system, submitted, members)
      await revertsWith(da.confirm(draft), da, 'BlobIsConvicted', [submitted.blobId])

      const soft = await publishBlob(system, encoded, { members: members.slice(0, SOFT_MEMBERS) })
      await da.connect(court).convict(soft.blobId, 3n)
      const more = await draftConfirmation(system, soft, members)
      await revertsWith(da.confirm(more), da, 'BlobIsConvicted', [soft.blobId])
      assert.equal(await da.isFinal(soft.blobId), false)

      const final = await publishBlob(system, encoded)
      await da.connect(court).convict(final.blobId, 1n << 127n)
      const convictedAt = await system.head()
      await da.connect(court).convict(final.blobId, 1n)
      const blob = await da.blobOf(final.blobId)
      assert.deepEqual([blob.convictedAtBlock, blob.forfeited], [convictedAt, (1n << 127n) | 1n])
      assert.equal(await da.isFinal(final.blobId), true)
    }),
  )
})

describe('DataAvailability.refund', () => {
  const on = withSystem()

  it(
    'default: the fee less a share, to the payer; the rest is the pot’s',
    on(async (system) => {
      const { da, publisher, params } = system
      const { blobId } = await submitBlob(system, encoded)
      const { feeWei, confirmBy } = await da.blobOf(blobId)
      await system.mineTo(confirmBy - 2n)
      await revertsWith(da.refund(blobId), da, 'ConfirmationOpen', [blobId, confirmBy])
      await system.mineTo(confirmBy - 1n)
      await da.refund(blobId)
      const keptWei = (feeWei * params.unconfirmedBps + 9999n) / 10_000n
      assert.equal(await da.creditOf(publisher), feeWei - keptWei)
      assert.deepEqual([await da.potWei(), await da.accountedWei()], [keptWei, feeWei])
      assert.equal((await da.blobOf(blobId)).status, REFUNDED)
      await revertsWith(da.refund(blobId), da, 'NotConfirmable', [blobId, REFUNDED])
      await revertsWith(da.claim(blobId), da, 'NotClaimable', [blobId, REFUNDED])
    }),
  )

  it(
    'error: a confirmed blob, an unknown one; a refunded one is not confirmed',
    on(async (system) => {
      const { da, members } = system
      const confirmed = await publishBlob(system, encoded)
      const late = await submitBlob(system, encoded)
      await system.mineTo((await da.blobOf(late.blobId)).confirmBy)
      await revertsWith(da.refund(confirmed.blobId), da, 'NotConfirmable', [confirmed.blobId, FINAL])
      const unknown = `0x${'ab'.repeat(32)}`
      await revertsWith(da.refund(unknown), da, 'BlobUnknown', [unknown])
      await da.refund(late.blobId)
      const draft = await draftConfirmation(system, late, members)
      await revertsWith(da.confirm(draft), da, 'NotConfirmable', [late.blobId, REFUNDED])
    }),
  )
})

describe('DataAvailability.claim', () => {
  const on = withSystem()
  const readyAt = ({ params }: DaSystem, { expiresAt }: BlobHeader) => expiresAt + params.disputePeriods

  it(
    'default: each column pays who attested it, unsigned ones pay the payer back, forfeited ones go to the pot',
    on(async (system) => {
      const { da, members, publisher, court, params } = system
      const signers = members.slice(0, SOFT_MEMBERS)
      const { blobId, header } = await publishBlob(system, two, { members: signers })
      const guilty = at(signers, 0)
      const columns = await columnsHeld(system, header.epoch, [guilty])
      const lost = columns & -columns
      await da.connect(court).convict(blobId, lost)
      const { feeWei } = await da.blobOf(blobId)

      await enterPeriod(system, readyAt(system, header) - 1n)
      const early = [readyAt(system, header) - 1n, readyAt(system, header)]
      await revertsWith(da.claim(blobId), da, 'TooEarly', early)
      await enterPeriod(system, readyAt(system, header))
      await da.claim(blobId)
      const columnWei = (feeWei * (10_000n - params.maintenanceBps)) / 10_000n / 128n
      assert.equal(await da.creditOf(guilty.address), 15n * columnWei)
      for (const { address } of signers.slice(1)) assert.equal(await da.creditOf(address), 16n * columnWei)
      for (const { address } of members.slice(SOFT_MEMBERS)) assert.equal(await da.creditOf(address), 0n)
      assert.equal(await da.creditOf(publisher), 32n * columnWei)
      assert.equal(await da.potWei(), feeWei - 127n * columnWei)
      assert.equal(await da.accountedWei(), feeWei)
      assert.equal((await da.blobOf(blobId)).claimed, true)
      await revertsWith(da.claim(blobId), da, 'AlreadyClaimed', [blobId])
    }),
  )

  it(
    'error: a blob that was not confirmed, an unknown one',
    on(async (system) => {
      const { da } = system
      const { blobId, header } = await submitBlob(system, encoded)
      await enterPeriod(system, readyAt(system, header))
      await revertsWith(da.claim(blobId), da, 'NotClaimable', [blobId, SUBMITTED])
      const unknown = `0x${'ab'.repeat(32)}`
      await revertsWith(da.claim(unknown), da, 'BlobUnknown', [unknown])
    }),
  )
})

describe('DataAvailability: money', () => {
  const on = withSystem()

  it(
    'default: credits are withdrawn to anywhere, once',
    on(async (system) => {
      const { da, publisher, stranger, ethers } = system
      const { header } = await submitBlob(system, encoded, { valueWei: 10n ** 18n })
      const feeWei = (await da.blobOf(blobIdOf(header))).feeWei
      const before = await ethers.provider.getBalance(stranger)
      await da.connect(publisher).withdraw(stranger)
      assert.equal((await ethers.provider.getBalance(stranger)) - before, 10n ** 18n - feeWei)
      assert.deepEqual([await da.creditOf(publisher), await da.accountedWei()], [0n, feeWei])
      await revertsWith(da.connect(publisher).withdraw(stranger), da, 'NothingToWithdraw', [
        publisher.address,
      ])
      await revertsWith(da.connect(publisher).withdraw(`0x${'00'.repeat(20)}`), da, 'ZeroAddress')

      // The account stays open, opened again or not: its next credit is whole.
      await da.openAccount(publisher)
      assert.equal(await da.creditOf(publisher), 0n)
      await submitBlob(system, encoded, { valueWei: 10n ** 18n })
      assert.equal(await da.creditOf(publisher), 10n ** 18n - feeWei)
    }),
  )

  it(
    'error: a receiver that refuses keeps its credit; one that calls again gets nothing twice',
    on(async (system) => {
      const { da, deployer, disperser, ethers } = system
      const receiver = await new ReentrantReceiverMock__factory(deployer).deploy(da)
      const { header, signature } = await signHeader(disperser, await draftHeader(system, encoded))
      const value = 10n ** 18n
      await receiver.call(da.interface.encodeFunctionData('submit', [header, signature]), { value })
      await submitBlob(system, encoded, { valueWei: value })
      const creditWei = value - (await da.blobOf(blobIdOf(header))).feeWei
      assert.equal(await da.creditOf(receiver), creditWei)
      const withdraw = da.interface.encodeFunctionData('withdraw', [receiver.target])

      await receiver.arm('0x', true)
      await revertsWith(receiver.call(withdraw), da, 'TransferFailed', [receiver.target, creditWei])
      assert.equal(await da.creditOf(receiver), creditWei)

      await receiver.arm(withdraw, false)
      await receiver.call(withdraw)
      const { attacked, succeeded } = await receiver.outcome()
      assert.deepEqual([attacked, succeeded], [true, false])
      assert.equal(await ethers.provider.getBalance(receiver), creditWei)
      assert.equal(await da.accountedWei(), await ethers.provider.getBalance(da))
    }),
  )

  it(
    'error: the pot, verdicts and bonds at the word of anybody else',
    on(async (system) => {
      const { da, stranger, court } = system
      const { blobId } = await submitBlob(system, encoded)
      const mine = da.connect(stranger)
      const refused = [stranger.address]
      await revertsWith(mine.payFromPot(stranger, 1n), da, 'NotAuthorized', refused)
      await revertsWith(mine.forfeit(blobId, 1n), da, 'NotAuthorized', refused)
      await revertsWith(mine.convict(blobId, 1n), da, 'NotAuthorized', refused)
      const fault = `0x${'f1'.repeat(32)}`
      await revertsWith(mine.slashDisperser(stranger, fault, stranger, 0n), da, 'NotAuthorized', refused)
      await revertsWith(da.connect(court).payFromPot(court, 1n), da, 'NotAuthorized', [court.address])
      await revertsWith(mine.wire(stranger, stranger), da, 'NotDeployer', refused)
      await revertsWith(da.wire(stranger, stranger), da, 'AlreadyWired')
    }),
  )
})

describe('DataAvailability: the bond', () => {
  const on = withSystem()

  it(
    'default: locked until the dispute window of the last header is over',
    on(async (system) => {
      const { da, staking, disperser, params } = system
      assert.equal(await da.minAllocation(disperser), 0n)
      const expiresAt = ((await currentPeriod(system)) / 5n + 3n) * 5n
      await submitBlob(system, encoded, { changes: { expiresAt } })
      await submitBlob(system, encoded, { changes: { expiresAt: expiresAt - 5n } })
      assert.equal(await da.minAllocation(disperser), params.bondWei)
      await staking.connect(disperser).requestDeallocation(da, 2n * params.bondWei)
      await enterPeriod(system, expiresAt + params.disputePeriods, 0n)
      assert.equal(await da.minAllocation(disperser), params.bondWei)
      await enterPeriod(system, expiresAt + params.disputePeriods)
      assert.equal(await da.minAllocation(disperser), 0n)
    }),
  )

  it(
    'behavior: a convicted disperser loses exactly its bond, at most half of it to the reporter',
    on(async (system) => {
      const { da, staking, disperser, stranger, court, params } = system
      await da.connect(court).slashDisperser(disperser, `0x${'f1'.repeat(32)}`, stranger, 5000n)
      const [allocatedWei] = await staking.allocationOf(disperser, da)
      assert.equal(allocatedWei, params.bondWei)
      assert.equal(await staking.claimable(stranger), params.bondWei / 2n)
      assert.equal(await da.isConvicted(disperser), true)
    }),
  )
})
