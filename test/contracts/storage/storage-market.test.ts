import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { expiry } from '../../../sdk/protocol/deal-price.ts'
import { StorageMarket__factory } from '../../../typechain-types/index.js'
import { revertsWith } from '../../support/reverts.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import { draftSeal, sealFile, sendSeal, submitFile } from '../../support/storage-deal.ts'
import {
  currentPeriod,
  deployStorage,
  enterPeriod,
  type StorageSystem,
} from '../../support/storage-fixture.ts'

const FILE = shardFile(sampleBytes(40_000))
const PADDED = BigInt(FILE.layout.paddedSectors)
const STATE = { none: 0n, submitted: 1n, sealed: 2n, ended: 3n, refunded: 4n }

let system: StorageSystem
before(async () => {
  system = await deployStorage()
})

const marketArgs = ({ owner, beacon, staking, streams, params }: StorageSystem) =>
  [owner, beacon, staking, streams, params, params.pricePerSectorPeriodWei] as const

describe('StorageMarket', () => {
  it('default: the parameters are those of the deployment', async () => {
    const { market, params, flow, prover, streams, owner } = system
    const stored = await market.params()
    for (const name of [
      'defaultTermPeriods',
      'minTermPeriods',
      'maxTermPeriods',
      'sealDeadlineBlocks',
      'bucketPeriods',
      'potBps',
      'faultTolerance',
      'parityBondWei',
    ] as const) {
      assert.equal(stored[name], params[name], name)
    }
    assert.equal(await market.flow(), await flow.getAddress())
    assert.equal(await market.prover(), await prover.getAddress())
    assert.equal(await market.streams(), await streams.getAddress())
    assert.equal(await market.owner(), owner.address)
  })

  it('error: parameters that cannot work', async () => {
    const { market, deployer, params } = system
    const [owner, beacon, staking, streams] = marketArgs(system)
    for (const change of [
      { minTermPeriods: 0n },
      { minTermPeriods: params.defaultTermPeriods + 1n },
      { maxTermPeriods: params.defaultTermPeriods - 1n },
      { bucketPeriods: params.bucketPeriods + 1n },
      { sealDeadlineBlocks: 0n },
      { potBps: 10_001n },
      { faultTolerance: 0n },
      { faultTolerance: 5n },
    ]) {
      const deployment = new StorageMarket__factory(deployer).deploy(
        owner,
        beacon,
        staking,
        streams,
        { ...params, ...change },
        1n,
      )
      await revertsWith(deployment, market, 'InvalidParams')
    }
  })
})

describe('wire', () => {
  it('error: by somebody else, to nothing, or twice', async () => {
    const { market, flow, prover, deployer, stranger } = system
    await revertsWith(market.connect(deployer).wire(flow, prover), market, 'AlreadyWired')
    const fresh = await new StorageMarket__factory(deployer).deploy(...marketArgs(system))
    await revertsWith(fresh.connect(stranger).wire(flow, prover), fresh, 'NotDeployer', [stranger.address])
    const nobody = '0x0000000000000000000000000000000000000000'
    await revertsWith(fresh.wire(nobody, prover), fresh, 'InvalidParams')
    await revertsWith(fresh.wire(flow, nobody), fresh, 'InvalidParams')
  })
})

describe('setPrice', () => {
  it('behavior: only the owner, for what is submitted from then on', () =>
    system.rolledBack(async () => {
      const { market, owner, stranger, params } = system
      await revertsWith(market.connect(stranger).setPrice(5n), market, 'OwnableUnauthorizedAccount')
      const txSeq = await submitFile(system, FILE)
      const before = await market.sealTerms(txSeq)
      await market.connect(owner).setPrice(5n)
      assert.equal(await market.pricePerSectorPeriod(), 5n)
      assert.equal(await market.pricePerSector(), 5n * params.defaultTermPeriods * 2n)
      assert.deepEqual([...(await market.sealTerms(txSeq))], [...before])
    }))

  it('error: no price, and one beyond 96 bits', async () => {
    const { market, owner } = system
    await revertsWith(market.connect(owner).setPrice(0n), market, 'InvalidParams')
    await revertsWith(market.connect(owner).setPrice(1n << 96n), market, 'InvalidParams')
  })

  it('error: ownership is given up, by the owner or anybody', async () => {
    const { market, owner, stranger } = system
    for (const caller of [owner, stranger]) {
      await revertsWith(market.connect(caller).renounceOwnership(), market, 'OwnershipNotRenounceable')
    }
    assert.equal(await market.owner(), owner.address)
  })

  it('behavior: ownership moves in two steps', () =>
    system.rolledBack(async () => {
      const { market, owner, stranger } = system
      await market.connect(owner).transferOwnership(stranger)
      assert.equal(await market.owner(), owner.address)
      await market.connect(stranger).acceptOwnership()
      assert.equal(await market.owner(), stranger.address)
    }))
})

describe('expiresAt', () => {
  it('default: known from the submission on, whatever period the deal is sealed in', () =>
    system.rolledBack(async () => {
      const { market, params, clock, uploader } = system
      const txSeq = await submitFile(system, FILE)
      const deadline = await market.sealDeadline(txSeq)
      assert.equal(deadline, (await system.head()) + params.sealDeadlineBlocks)
      const deadlinePeriod = (deadline - clock.startBlock) / clock.periodBlocks
      const expected = expiry(clock, deadlinePeriod, params.defaultTermPeriods)
      assert.equal(await market.expiresAt(txSeq), expected)

      const soon = await market.sealTerms(txSeq)
      const draft = await draftSeal(system, { txSeq, file: FILE })
      await system.chain.mineTo(deadline - 1n)
      const late = await market.sealTerms(txSeq)
      assert.ok(late.sectorPriceWei > soon.sectorPriceWei, 'fewer periods for the same money')
      const deal = await sendSeal(system, { file: FILE, draft, caller: uploader })
      assert.equal(deal.endPeriod, expected)
      assert.ok(deal.endPeriod - deal.startPeriod >= params.defaultTermPeriods)
    }))

  it('error: views of a submission that does not exist', async () => {
    const { market, flow } = system
    for (const work of [
      market.expiresAt(77n),
      market.sealDeadline(77n),
      market.termsOf(77n),
      market.sealTerms(77n),
    ]) {
      await revertsWith(work, flow, 'UnknownSubmission', [77n])
    }
    assert.equal(await market.stateOf(77n), STATE.none)
  })
})

describe('configure', () => {
  it('default: buys parity and term; what is missing is paid, and the seal follows', () =>
    system.rolledBack(async () => {
      const { market, streams, params, uploader } = system
      const txSeq = await submitFile(system, FILE)
      assert.deepEqual([...(await market.termsOf(txSeq))], [8n, params.defaultTermPeriods])
      const term = params.defaultTermPeriods + 1000n
      const neededWei = await market.quote(PADDED, 16n, term)
      const escrowWei = await streams.escrowOf(txSeq)
      const missingWei = neededWei - escrowWei
      assert.ok(missingWei > 0n)
      await revertsWith(
        market.connect(uploader).configure(txSeq, 16n, term, { value: missingWei - 1n }),
        market,
        'EscrowTooLow',
        [neededWei, neededWei - 1n],
      )
      await market.connect(uploader).configure(txSeq, 16n, term, { value: missingWei })
      assert.equal(await streams.escrowOf(txSeq), neededWei)
      assert.deepEqual([...(await market.termsOf(txSeq))], [16n, term])
      const { sectorPriceWei } = await market.sealTerms(txSeq)
      assert.ok(sectorPriceWei >= params.pricePerSectorPeriodWei)

      const wider = shardFile(sampleBytes(40_000), 16)
      const draft = await draftSeal(system, { txSeq, file: wider })
      const deal = await sendSeal(system, { file: wider, draft })
      assert.ok(deal.endPeriod - deal.startPeriod >= term)
      assert.equal((await market.deal(txSeq)).parityShards, 16n)
    }))

  it('behavior: a shorter term costs nothing more and raises the price that custodians get', () =>
    system.rolledBack(async () => {
      const { market, params, uploader } = system
      const txSeq = await submitFile(system, FILE)
      const before = await market.sealTerms(txSeq)
      await market.connect(uploader).configure(txSeq, 8n, params.minTermPeriods)
      assert.ok((await market.sealTerms(txSeq)).sectorPriceWei > before.sectorPriceWei)
    }))

  it('error: another caller, parity or term out of range, too late, or after the seal', () =>
    system.rolledBack(async () => {
      const { market, params, uploader, stranger, chain } = system
      const txSeq = await submitFile(system, FILE)
      const asOwner = market.connect(uploader)
      const term = params.defaultTermPeriods
      await revertsWith(market.connect(stranger).configure(txSeq, 8n, term), market, 'NotOwnerOf', [
        txSeq,
        stranger.address,
      ])
      await revertsWith(asOwner.configure(txSeq, 3n, term), market, 'ParityOutOfRange', [3n])
      await revertsWith(asOwner.configure(txSeq, 65n, term), market, 'ParityOutOfRange', [65n])
      await revertsWith(asOwner.configure(txSeq, 264n, term), market, 'ParityOutOfRange', [264n])
      await revertsWith(asOwner.configure(txSeq, 8n, params.minTermPeriods - 1n), market, 'TermOutOfRange')
      await revertsWith(asOwner.configure(txSeq, 8n, params.maxTermPeriods + 1n), market, 'TermOutOfRange')
      const deal = await sealFile(system, FILE)
      await revertsWith(asOwner.configure(deal.txSeq, 8n, term), market, 'WrongState', [
        deal.txSeq,
        STATE.sealed,
      ])
      const deadline = await market.sealDeadline(txSeq)
      await chain.mineTo(deadline)
      await revertsWith(asOwner.configure(txSeq, 8n, term), market, 'SealDeadlinePassed', [txSeq, deadline])
    }))

  it('error: quote refuses a length that no file pads to, and terms out of range', async () => {
    const { market } = system
    await revertsWith(market.quote(PADDED, 2n, 3600n), market, 'ParityOutOfRange')
    await revertsWith(market.quote(PADDED, 8n, 1n), market, 'TermOutOfRange')
    await assert.rejects(market.quote(33n, 8n, 3600n))
  })
})

describe('refund', () => {
  it('default: after the deadline, the whole escrow to the owner, once, to be drawn by itself', () =>
    system.rolledBack(async () => {
      const { market, streams, uploader, stranger, chain } = system
      const txSeq = await submitFile(system, FILE)
      const escrowWei = await streams.escrowOf(txSeq)
      assert.equal(escrowWei, PADDED * (await market.pricePerSector()))
      const deadline = await market.sealDeadline(txSeq)
      await chain.mineTo(deadline - 1n)
      await revertsWith(market.refund(txSeq), market, 'SealDeadlineNotPassed', [txSeq, deadline])
      await chain.mineTo(deadline)

      await market.connect(stranger).refund(txSeq)
      assert.equal(await market.stateOf(txSeq), STATE.refunded)
      assert.equal(await streams.creditOf(uploader), escrowWei)
      assert.equal(await streams.creditOf(stranger), 0n)
      assert.equal(await streams.escrowOf(txSeq), 0n)
      await revertsWith(market.refund(txSeq), market, 'WrongState', [txSeq, STATE.refunded])

      const inVault = await chain.ethers.provider.getBalance(streams)
      await streams.connect(uploader).withdraw(uploader)
      assert.equal(inVault - (await chain.ethers.provider.getBalance(streams)), escrowWei)
      await revertsWith(streams.connect(uploader).withdraw(uploader), streams, 'NothingToWithdraw')
    }))

  it('error: a sealed deal, and a submission that does not exist', () =>
    system.rolledBack(async () => {
      const { market, flow, chain } = system
      const deal = await sealFile(system, FILE)
      await chain.mineTo((await market.sealDeadline(deal.txSeq)) + 1n)
      await revertsWith(market.refund(deal.txSeq), market, 'WrongState', [deal.txSeq, STATE.sealed])
      await revertsWith(market.refund(99n), flow, 'UnknownSubmission', [99n])
    }))
})

describe('end', () => {
  it('default: once the last report window has closed, the bond goes back to whoever sealed', () =>
    system.rolledBack(async () => {
      const { market, streams, params, uploader, stranger } = system
      await market.connect(uploader).setSealer(stranger)
      const txSeq = await submitFile(system, FILE)
      await market.connect(uploader).configure(txSeq, 8n, params.minTermPeriods)
      const draft = await draftSeal(system, { txSeq, file: FILE })
      const deal = await sendSeal(system, { file: FILE, draft, caller: stranger })
      assert.equal(await streams.bondsWei(), params.parityBondWei)

      await enterPeriod(system, deal.endPeriod, 1n)
      await revertsWith(market.end(txSeq), market, 'TermNotOver', [txSeq, deal.endPeriod])
      assert.equal((await market.custodyAt(txSeq, deal.endPeriod)).live, false)
      assert.equal((await market.custodyAt(txSeq, deal.endPeriod - 1n)).live, true)
      await enterPeriod(system, deal.endPeriod + 1n, 1n)
      await market.end(txSeq)
      assert.equal(await market.stateOf(txSeq), STATE.ended)
      assert.equal(await streams.creditOf(stranger), params.parityBondWei)
      assert.equal(await streams.bondsWei(), 0n)
      assert.equal((await market.deal(txSeq)).bondWei, 0n)
      await revertsWith(market.end(txSeq), market, 'WrongState', [txSeq, STATE.ended])
    }))

  it('error: a submission that was never sealed, and one that does not exist', () =>
    system.rolledBack(async () => {
      const { market } = system
      const txSeq = await submitFile(system, FILE)
      await revertsWith(market.end(txSeq), market, 'WrongState', [txSeq, STATE.submitted])
      await revertsWith(market.end(99n), market, 'WrongState', [99n, STATE.none])
      assert.equal((await market.custodyAt(txSeq, await currentPeriod(system))).live, false)
    }))
})
