import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { custodyRoot } from '../../../sdk/protocol/custody.ts'
import { marketDomain } from '../../../sdk/protocol/typed-data.ts'
import { OwnerWallet__factory } from '../../../typechain-types/index.js'
import { revertsWith } from '../../support/reverts.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import {
  dealtInTurn,
  domainOf,
  draftSeal,
  type Offer,
  OLD_SUBMIT,
  type SealDraft,
  sealFile,
  sendSeal,
  sign,
  submissionData,
  submitFile,
} from '../../support/storage-deal.ts'
import {
  addProvider,
  currentPeriod,
  deployStorage,
  type StorageSystem,
} from '../../support/storage-fixture.ts'
import { missUntilSuspended } from '../../support/storage-misses.ts'

const FILE = shardFile(sampleBytes(40_000))
const SHARDS = FILE.shardRoots.length
const LIMIT = 4n

let system: StorageSystem
let txSeq: bigint
let draft: SealDraft
before(async () => {
  system = await deployStorage({ providers: 7 })
  txSeq = await submitFile(system, FILE)
  draft = await draft6()
})

/** A valid draft over six of the seven providers. */
const draft6 = (options: Partial<Parameters<typeof draftSeal>[1]> = {}) =>
  draftSeal(system, {
    txSeq,
    file: FILE,
    assignment: dealtInTurn(system.providers.slice(0, 6), SHARDS),
    ...options,
  })

type Request = SealDraft['request']

/** What `market.seal` says to the request when the caller is the owner. */
const trySeal = (request: Request, caller = system.uploader, value = system.params.parityBondWei) =>
  system.market.connect(caller).seal.staticCall(request, { value })

const refused = (request: Request, error: string, args?: readonly unknown[]) =>
  revertsWith(trySeal(request), system.market, error, args)

const withOffer = (request: Request, at: number, change: Partial<Offer>): Request => ({
  ...request,
  custodians: request.custodians.map((offer, index) => (index === at ? { ...offer, ...change } : offer)),
})

const bitCount = (bitmap: bigint) => BigInt(bitmap.toString(2).replaceAll('0', '').length)

const offerAt = (request: Request, at: number): Offer => {
  const offer = request.custodians[at]
  if (offer === undefined) throw new Error(`there is no offer ${at}`)
  return offer
}

describe('seal', () => {
  it('default: a drafted deal can be sealed', () => trySeal(draft.request))

  describe('the file', () => {
    it('error: a forged data shard root does not fold into the nodes', async () => {
      const shardRoots = FILE.shardRoots.map((root, index) => (index === 3 ? `0x${'ab'.repeat(32)}` : root))
      const forged = await draft6({ shardRoots })
      await refused(forged.request, 'ShardsNotOfFile', [txSeq])
    })

    it('error: data shards in another order', async () => {
      const [first = '', second = '', ...rest] = FILE.shardRoots
      const forged = await draft6({ shardRoots: [second, first, ...rest] })
      await refused(forged.request, 'ShardsNotOfFile', [txSeq])
    })

    it('error: another byte length has another digest', async () => {
      const request = { ...draft.request, byteLength: FILE.byteLength - 1 }
      await refused(request, 'DigestMismatch')
    })

    it('error: another node height has another digest', async () => {
      const nodes = draft.request.nodes.map((node) => ({ ...node, height: node.height + 1 }))
      await refused({ ...draft.request, nodes }, 'DigestMismatch')
    })

    it('error: a shard root too few, and one too many', async () => {
      const shardRoots = FILE.shardRoots
      await refused({ ...draft.request, shardRoots: shardRoots.slice(1) }, 'WrongShardCount', [
        BigInt(SHARDS),
        BigInt(SHARDS - 1),
      ])
      await refused(
        { ...draft.request, shardRoots: [...shardRoots, ...shardRoots.slice(0, 1)] },
        'WrongShardCount',
      )
    })
  })

  describe('who keeps what', () => {
    it('error: custodians out of order, and one listed twice', async () => {
      const [first, second, ...rest] = draft.request.custodians
      assert.ok(first && second)
      const { market } = system
      await refused({ ...draft.request, custodians: [second, first, ...rest] }, 'CustodiansNotAscending', [
        second.provider,
        first.provider,
      ])
      await revertsWith(
        trySeal({ ...draft.request, custodians: [first, first, ...rest] }),
        market,
        'CustodiansNotAscending',
      )
    })

    it('error: a shard that two custodians claim', async () => {
      const first = offerAt(draft.request, 0)
      const second = offerAt(draft.request, 1)
      const taken = first.shardBitmap & -first.shardBitmap
      const request = withOffer(draft.request, 1, { shardBitmap: second.shardBitmap | taken })
      await refused(request, 'ShardAssignedTwice', [second.provider, taken])
    })

    it('error: a shard that nobody keeps', async () => {
      const last = draft.request.custodians.length - 1
      const offer = offerAt(draft.request, last)
      const dropped = offer.shardBitmap & -offer.shardBitmap
      await refused(
        withOffer(draft.request, last, { shardBitmap: offer.shardBitmap ^ dropped }),
        'ShardsUnassigned',
        [dropped],
      )
      const custodians = draft.request.custodians.slice(0, -1)
      await refused({ ...draft.request, custodians }, 'ShardsUnassigned', [offer.shardBitmap])
    })

    it('error: a bitmap that is empty or names a shard the deal does not have', async () => {
      const { provider, shardBitmap } = offerAt(draft.request, 0)
      await refused(withOffer(draft.request, 0, { shardBitmap: 0n }), 'InvalidShardBitmap', [provider, 0n])
      const beyond = shardBitmap | (1n << BigInt(SHARDS))
      await refused(withOffer(draft.request, 0, { shardBitmap: beyond }), 'InvalidShardBitmap', [
        provider,
        beyond,
      ])
    })

    it('error: one provider over the fault limit, though one at the limit is not', async () => {
      const atLimit = await draft6({ assignment: dealtInTurn(system.providers.slice(0, 5), SHARDS) })
      await trySeal(atLimit.request)
      const { request } = await draft6({ assignment: dealtInTurn(system.providers.slice(0, 4), SHARDS) })
      const kept = request.custodians.map(({ shardBitmap }) => bitCount(shardBitmap))
      const greedy = kept.findIndex((count) => count > LIMIT)
      await refused(request, 'FaultLimitExceeded', [offerAt(request, greedy).provider, LIMIT + 1n, LIMIT])
    })
  })

  describe('who may seal', () => {
    it('error: a stranger with custodians of its own, but without the owner', async () => {
      const { stranger, market } = system
      await revertsWith(trySeal(draft.request, stranger), market, 'NotSealer', [txSeq, stranger.address])
    })

    it('error: the owner approved another custody, or somebody else approved this one', async () => {
      const { stranger, uploader, market } = system
      const { custodyRoot: root } = draft
      const other = { txSeq, custodyRoot: `0x${'11'.repeat(32)}` }
      for (const approval of [
        await sign(system, uploader, { type: 'Approve', message: other }),
        await sign(system, uploader, { type: 'Approve', message: { txSeq: txSeq + 1n, custodyRoot: root } }),
        await sign(system, stranger, { type: 'Approve', message: { txSeq, custodyRoot: root } }),
        '0x1234',
      ]) {
        await revertsWith(trySeal({ ...draft.request, approval }, stranger), market, 'NotSealer')
      }
    })

    it('behavior: anyone carries the owner’s approval', async () => {
      const message = { txSeq, custodyRoot: draft.custodyRoot }
      const approval = await sign(system, system.uploader, { type: 'Approve', message })
      await trySeal({ ...draft.request, approval }, system.stranger)
    })

    it('behavior: the sealer that the owner named may, until it is named no more', () =>
      system.rolledBack(async () => {
        const { market, stranger, uploader } = system
        await market.connect(uploader).setSealer(stranger)
        assert.equal(await market.sealerOf(uploader), stranger.address)
        await trySeal(draft.request, stranger)
        await market.connect(uploader).setSealer('0x0000000000000000000000000000000000000000')
        await revertsWith(trySeal(draft.request, stranger), market, 'NotSealer')
      }))

    it('behavior: an owner that is a contract approves by ERC-1271', () =>
      system.rolledBack(async () => {
        const { market, uploader, stranger } = system
        const wallet = await new OwnerWallet__factory(uploader).deploy(uploader)
        const walletSeq = await system.flow.numSubmissions()
        const value = BigInt(FILE.layout.paddedSectors) * (await market.pricePerSector())
        const call = system.flow.interface.encodeFunctionData(OLD_SUBMIT, [submissionData(FILE)])
        await wallet.execute(system.flow, value, call, { value })
        assert.equal((await system.flow.submission(walletSeq)).owner, await wallet.getAddress())

        const { request, custodyRoot: root } = await draft6({ txSeq: walletSeq })
        const message = { txSeq: walletSeq, custodyRoot: root }
        const approval = await sign(system, uploader, { type: 'Approve', message })
        await trySeal({ ...request, approval }, stranger)
        const forged = await sign(system, stranger, { type: 'Approve', message })
        await revertsWith(trySeal({ ...request, approval: forged }, stranger), market, 'NotSealer')
      }))
  })

  describe('what custodians signed', () => {
    it('error: a signature of somebody else, and one of no use', async () => {
      const { provider } = offerAt(draft.request, 0)
      const { signature } = offerAt(draft.request, 1)
      await refused(withOffer(draft.request, 0, { signature }), 'InvalidCustodySignature', [provider])
      await refused(withOffer(draft.request, 0, { signature: '0x' }), 'InvalidCustodySignature', [provider])
    })

    it('error: terms other than the signed ones', async () => {
      const { validUntil, ratePerPeriod } = offerAt(draft.request, 2)
      await refused(withOffer(draft.request, 2, { validUntil: validUntil + 1n }), 'InvalidCustodySignature')
      await refused(
        withOffer(draft.request, 2, { ratePerPeriod: ratePerPeriod - 1n }),
        'InvalidCustodySignature',
      )
    })

    it('error: the same bytes submitted again need new signatures', () =>
      system.rolledBack(async () => {
        const other = await submitFile(system, FILE)
        await refused({ ...draft.request, txSeq: other }, 'InvalidCustodySignature')
      }))

    it('error: signed for another chain, and for another contract', async () => {
      const { chainId, flow, market } = system
      const own = domainOf(system)
      for (const domain of [
        marketDomain(chainId + 1n, market.target.toString()),
        marketDomain(chainId, flow.target.toString()),
        { ...own, version: '2' },
      ]) {
        const { request } = await draft6({ domain })
        await refused(request, 'InvalidCustodySignature')
      }
    })

    it('error: an offer that has expired', async () => {
      const validUntil = (await system.head()) - 1n
      const { request } = await draft6({ validUntil })
      await refused(request, 'CustodyOfferExpired')
    })

    it('error: the deal pays less than the offer asks', async () => {
      const { shardRateWei } = await system.market.sealTerms(txSeq)
      const { request } = await draft6({ ratePerPeriod: shardRateWei * LIMIT + 1n })
      await refused(request, 'RateBelowOffer', [
        offerAt(request, 0).provider,
        shardRateWei * LIMIT + 1n,
        shardRateWei *
          BigInt([...offerAt(request, 0).shardBitmap.toString(2)].filter((bit) => bit === '1').length),
      ])
    })
  })

  describe('who may be custodian', () => {
    it('error: a provider without stake, and with a wei too little', () =>
      system.rolledBack(async () => {
        const poor = system.chain.signer(18)
        const assignment = dealtInTurn([...system.providers.slice(0, 5), poor], SHARDS)
        const { request } = await draft6({ assignment })
        const neededWei = await system.rolledBack(async () => {
          await addProvider(system, poor, 10n ** 18n)
          await system.market.connect(system.uploader).seal(request, { value: system.params.parityBondWei })
          return system.streams.needOf(poor)
        })
        assert.ok(neededWei > 0n)
        await refused(request, 'InsufficientStake', [poor.address, neededWei, 0n])
        await addProvider(system, poor, neededWei - 1n)
        await refused(request, 'InsufficientStake', [poor.address, neededWei, neededWei - 1n])
        await system.staking.connect(poor).stake({ value: 1n })
        await system.staking.connect(poor).allocate(system.prover, 1n)
        await trySeal(request)
      }))

    it('error: stake that is on its way out does not count', () =>
      system.rolledBack(async () => {
        const leaving = system.providers[0]
        assert.ok(leaving)
        const [allocatedWei] = await system.staking.allocationOf(leaving, system.prover)
        await system.staking.connect(leaving).requestDeallocation(system.prover, allocatedWei)
        await refused(draft.request, 'InsufficientStake')
      }))

    it('error: a suspended provider', () =>
      system.rolledBack(async () => {
        const [careless] = system.providers
        assert.ok(careless)
        const deal = await sealFile(system, FILE, {
          assignment: dealtInTurn(system.providers.slice(0, 6), SHARDS),
        })
        await missUntilSuspended(system, deal, careless)
        const fresh = await draft6({ txSeq: await submitFile(system, FILE) })
        await refused(fresh.request, 'ProviderSuspended', [careless.address])
      }))
  })

  describe('when and for how much', () => {
    it('error: a bond too small, too big, or none', async () => {
      const { market, params, uploader } = system
      for (const value of [0n, params.parityBondWei - 1n, params.parityBondWei + 1n]) {
        await revertsWith(trySeal(draft.request, uploader, value), market, 'WrongBond', [
          params.parityBondWei,
          value,
        ])
      }
    })

    it('error: an escrow that pays less than a wei per sector and period, until it is topped up', () =>
      system.rolledBack(async () => {
        const { market, owner, params, streams, uploader } = system
        await market.connect(owner).setPrice(1n)
        const tiny = shardFile(sampleBytes(10))
        const seq = await submitFile(system, tiny)
        const escrowWei = await streams.escrowOf(seq)
        const periods = (await market.expiresAt(seq)) - (await currentPeriod(system)) - 1n
        const stored = BigInt(tiny.shardRoots.length)
        assert.ok(escrowWei < stored * periods)
        await revertsWith(market.sealTerms(seq), market, 'PriceTooLow', [escrowWei, stored * periods])
        const { request } = await draft6({
          txSeq: seq,
          file: tiny,
          ratePerPeriod: 0n,
          assignment: dealtInTurn(system.providers, tiny.shardRoots.length),
        })
        await refused(request, 'PriceTooLow', [escrowWei, stored * periods])

        const neededWei = await market.quote(1n, 8n, params.defaultTermPeriods)
        await market
          .connect(uploader)
          .configure(seq, 8, params.defaultTermPeriods, { value: 2n * neededWei - escrowWei })
        await trySeal(request)
      }))

    it('error: sealed in the deadline’s block, refused in the next', () =>
      system.rolledBack(async () => {
        const { chain, market } = system
        const deadline = await market.sealDeadline(txSeq)
        const late = await draft6({ validUntil: deadline + 10n })
        await chain.mineTo(deadline - 1n)
        await market
          .connect(system.uploader)
          .seal.estimateGas(late.request, { value: system.params.parityBondWei })
        await chain.mineTo(deadline)
        await revertsWith(
          market.connect(system.uploader).seal(late.request, { value: system.params.parityBondWei }),
          market,
          'SealDeadlinePassed',
          [txSeq, deadline],
        )
      }))

    it('error: sealed once only, and not after a refund', () =>
      system.rolledBack(async () => {
        const { market, chain } = system
        const refundedSeq = await submitFile(system, FILE)
        await sendSeal(system, { file: FILE, draft })
        await refused(draft.request, 'WrongState', [txSeq, 2n])
        await chain.mineTo((await market.sealDeadline(refundedSeq)) + 1n)
        await market.refund(refundedSeq)
        await refused({ ...draft.request, txSeq: refundedSeq }, 'WrongState', [refundedSeq, 4n])
      }))

    it('error: a submission that does not exist', () =>
      revertsWith(trySeal({ ...draft.request, txSeq: 99n }), system.flow, 'UnknownSubmission', [99n]))
  })

  it('behavior: the certificate names providers, shards and roots, and the deal holds what it says', () =>
    system.rolledBack(async () => {
      const { market, prover, streams, params, uploader } = system
      const escrowWei = await streams.escrowOf(txSeq)
      const expected = await market.sealTerms(txSeq)
      const deal = await sendSeal(system, { file: FILE, draft })
      const [event] = await market.queryFilter(market.filters.Sealed(txSeq))
      assert.ok(event)
      assert.deepEqual(
        [...event.args.providers],
        draft.request.custodians.map(({ provider }) => provider),
      )
      assert.deepEqual(
        [...event.args.shardBitmaps],
        draft.request.custodians.map(({ shardBitmap }) => shardBitmap),
      )
      assert.deepEqual([...event.args.shardRoots], FILE.shardRoots)

      const stored = await market.deal(txSeq)
      assert.equal(stored.custodyRoot, custodyRoot(draft.leaves))
      assert.equal(stored.sealer, uploader.address)
      assert.equal(stored.bondWei, params.parityBondWei)
      assert.equal(stored.endPeriod, await market.expiresAt(txSeq))
      assert.equal(stored.endPeriod % params.bucketPeriods, 0n)
      assert.equal(stored.pricePerSectorPeriod, expected.sectorPriceWei)
      assert.equal(await market.stateOf(txSeq), 2n)

      const entry = await prover.entry(deal.entryIndex)
      const sectors = BigInt(SHARDS * FILE.layout.shardSectors)
      assert.deepEqual([entry.txSeq, entry.sectors], [txSeq, sectors])
      const spentWei = sectors * expected.sectorPriceWei * (deal.endPeriod - deal.startPeriod)
      assert.equal(await streams.escrowOf(txSeq), 0n)
      assert.equal(await streams.streamingWei(), spentWei)
      assert.equal(await streams.creditOf(uploader), escrowWei - spentWei)
      for (const offer of draft.request.custodians) {
        assert.equal((await streams.rateOf(offer.provider)).nextWei, offer.ratePerPeriod)
      }
    }))
})
