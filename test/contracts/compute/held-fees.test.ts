import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Receipt } from '../../../sdk/protocol/receipt.ts'
import { compareGas, type GasFigure } from '../../support/gas-snapshot.ts'
import { claimOf, createInference, PARAMS, receiptOf } from '../../support/inference-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { ETHER, eventOf } from '../staking/fixture.ts'

const chain = await createInference()
const { serving, ledger, staking, address } = chain
const FAULTS = { Unanswered: 1n, Sum: 2n, Nonce: 3n, Epoch: 4n, Price: 5n } as const
const gas: Record<string, GasFigure> = {}
let next = 1

/** A provider and a user of their own, so that no test sees another's nonces or stake. */
async function newPair() {
  const seller = await chain.newSeller(next++)
  const user = await chain.newBuyer(next++, seller.address)
  return { seller, user, mine: serving.connect(user) }
}

type Pair = Awaited<ReturnType<typeof newPair>>

/** Settles a claim over `receipts` in open mode; returns the id of the held fee. */
async function hold(
  { seller, user }: Pair,
  receipts: Receipt[],
  changed: Partial<ReturnType<typeof claimOf>> = {},
) {
  const item = await chain.settlement(seller, { user: user.address, ...claimOf(receipts), ...changed })
  const { heldId } = await eventOf(seller.serving.settleFeesWithTEE([item]), serving, 'FeeHeld')
  return heldId as bigint
}

/** Demands and posts; expects the fee to go back for `fault`, with a slash of which the user gets half. */
async function expectFault(pair: Pair, heldId: bigint, receipts: Receipt[], fault: keyof typeof FAULTS) {
  await pair.mine.demandReceipts(heldId)
  const { amountWei } = await serving.heldOf(heldId)
  const available = (await ledger.getLedger(pair.user)).availableBalance
  const claimable = await staking.claimable(pair.user)
  const backing = await staking.backing(pair.seller.address, address)
  const event = await eventOf(serving.postReceipts(heldId, receipts), serving, 'HeldFeeReturned')
  const { fault: found, amountWei: returned, slashedWei } = event
  assert.deepEqual([found, returned, slashedWei], [FAULTS[fault], amountWei, PARAMS.faultSlashWei])
  assert.equal((await ledger.getLedger(pair.user)).availableBalance, available + amountWei)
  assert.equal((await staking.claimable(pair.user)) - claimable, PARAMS.faultSlashWei / 2n)
  assert.equal(backing - (await staking.backing(pair.seller.address, address)), PARAMS.faultSlashWei)
  assert.equal(await serving.earningsOf(pair.seller.address), 0n)
}

const three = () => [1n, 2n, 3n].map((nonce) => receiptOf(nonce))

describe('a held fee', () => {
  it('default: is the provider’s when the window has passed, and not before', async () => {
    const pair = await newPair()
    const heldId = await hold(pair, three())
    const fee = await serving.heldOf(heldId)
    assert.deepEqual([fee.user, fee.provider, fee.amountWei], [pair.user.address, pair.seller.address, 240n])
    assert.equal((await ledger.getLedger(pair.user)).totalBalance, 2n * ETHER)
    await serving.releaseHeld([heldId, 999n])
    assert.equal(await serving.earningsOf(pair.seller.address), 0n)
    await chain.later(PARAMS.challengeSec)
    await revertsWith(pair.mine.demandReceipts(heldId), serving, 'WindowClosed')
    await serving.releaseHeld([heldId, heldId])
    assert.equal(await serving.earningsOf(pair.seller.address), 240n)
    assert.equal((await ledger.getLedger(pair.user)).totalBalance, 2n * ETHER - 240n)
    await revertsWith(pair.mine.demandReceipts(heldId), serving, 'WrongHeldState')
  })

  it('default: demanded and answered rightly, it is the provider’s at once', async () => {
    const pair = await newPair()
    const receipts = Array.from({ length: 64 }, (_, i) => receiptOf(BigInt(i + 1)))
    const heldId = await hold(pair, receipts)
    const strangers = serving.connect(chain.signer(0)).demandReceipts(heldId)
    await revertsWith(strangers, serving, 'NotHeldUser')
    await revertsWith(serving.postReceipts(heldId, receipts), serving, 'WrongHeldState')
    await pair.mine.demandReceipts(heldId)
    await serving.releaseHeld([heldId])
    assert.equal(await serving.earningsOf(pair.seller.address), 0n, 'a demanded fee waits')
    await revertsWith(serving.postReceipts(heldId, receipts.slice(1)), serving, 'ReceiptsMismatch')
    const long = [...receipts, receiptOf(65n)]
    await revertsWith(serving.postReceipts(heldId, long), serving, 'TooManyReceipts', [65n, 64n])
    await revertsWith(serving.returnUnanswered(heldId), serving, 'WindowOpen')
    const posted = await serving.postReceipts(heldId, receipts)
    gas['post 64 receipts'] = { gas: (await posted.wait())?.gasUsed ?? 0n }
    assert.equal(await serving.earningsOf(pair.seller.address), 64n * 80n)
    assert.equal(await staking.backing(pair.seller.address, address), PARAMS.minProviderStakeWei)
    await revertsWith(serving.postReceipts(heldId, receipts), serving, 'WrongHeldState')
  })

  it('error: withheld receipts: the fee goes back and the provider is slashed', async () => {
    const pair = await newPair()
    const receipts = three()
    const heldId = await hold(pair, receipts)
    await pair.mine.demandReceipts(heldId)
    await chain.later(PARAMS.answerSec)
    await revertsWith(serving.postReceipts(heldId, receipts), serving, 'WindowClosed')
    const event = await eventOf(serving.returnUnanswered(heldId), serving, 'HeldFeeReturned')
    assert.deepEqual([event.fault, event.amountWei], [FAULTS.Unanswered, 240n])
    assert.equal((await ledger.getLedger(pair.user)).availableBalance, ETHER + 240n)
    await revertsWith(serving.returnUnanswered(heldId), serving, 'WrongHeldState')
    const item = await chain.settlement(pair.seller, { user: pair.user.address, totalFee: 1n, nonce: 99n })
    const statuses = await pair.seller.serving.settleFeesWithTEE.staticCall([item])
    assert.deepEqual([...statuses], [3n], 'below its stake a service settles nothing')
  })

  it('error: a wrong sum; a nonce that repeats, falls, was settled before, or lies beyond the settlement', async () => {
    const pair = await newPair()
    const mine = staking.connect(pair.seller.operator)
    const restake = async () => {
      await mine.stake({ value: PARAMS.faultSlashWei })
      await mine.allocate(address, PARAMS.faultSlashWei)
    }
    await expectFault(pair, await hold(pair, three(), { totalFee: 241n }), three(), 'Sum')
    await restake()
    // The settlement before ended with 10; each claim's own nonce is the third member.
    await hold(pair, [receiptOf(10n)])
    const cases: [bigint, bigint, bigint][] = [
      [11n, 11n, 12n],
      [22n, 21n, 22n],
      [22n, 31n, 32n],
      [41n, 43n, 42n],
    ]
    for (const [first, second, nonce] of cases) {
      const receipts = [receiptOf(first), receiptOf(second)]
      await expectFault(pair, await hold(pair, receipts, { nonce }), receipts, 'Nonce')
      await restake()
    }
  })

  it('error: a fee above units times the price, or above the user’s maximum', async () => {
    const pair = await newPair()
    const dear = [receiptOf(1n, { feeWei: 81n })]
    await expectFault(pair, await hold(pair, dear), dear, 'Price')

    const other = await newPair()
    assert.deepEqual([...(await serving.maxPriceOf(other.user, other.seller.address))], [2n, 3n])
    await other.seller.announce({ outputPrice: 10n })
    await chain.later(PARAMS.noticeSec)
    const risen = [receiptOf(1n, { priceEpoch: 1n, feeWei: 10n * 2n + 20n * 10n })]
    await expectFault(other, await hold(other, risen), risen, 'Price')
  })

  it('behavior: the user who agrees to a rise pays it; served at the maximum is right too', async () => {
    const pair = await newPair()
    await pair.seller.announce({ outputPrice: 10n })
    await chain.later(PARAMS.noticeSec)
    await pair.mine.setMaxPrice(pair.seller.address, 2n, 10n)
    const receipts = [receiptOf(1n, { priceEpoch: 1n, feeWei: 220n })]
    const heldId = await hold(pair, receipts)
    // A fall of the maximum after the settlement convicts nobody, nor within the grace before it.
    await pair.mine.setMaxPrice(pair.seller.address, 0n, 0n)
    const later = [receiptOf(2n, { priceEpoch: 1n, feeWei: 220n })]
    const laterId = await hold(pair, later)
    for (const [id, list] of [
      [heldId, receipts],
      [laterId, later],
    ] as const) {
      await pair.mine.demandReceipts(id)
      await serving.postReceipts(id, list)
    }
    assert.equal(await serving.earningsOf(pair.seller.address), 440n)
    await chain.later(PARAMS.lockSec)
    const tooLate = [receiptOf(3n, { priceEpoch: 1n, feeWei: 220n })]
    const heldLate = await hold(pair, tooLate)
    await pair.mine.demandReceipts(heldLate)
    const event = await eventOf(serving.postReceipts(heldLate, tooLate), serving, 'HeldFeeReturned')
    assert.equal(event.fault, FAULTS.Price)
  })

  it('error: a price epoch that has not begun, or ended longer ago than the grace', async () => {
    const pair = await newPair()
    const early = [receiptOf(1n, { priceEpoch: 1n, feeWei: 1n })]
    await expectFault(pair, await hold(pair, early), early, 'Epoch')
  })
})

describe('held fees and stake', () => {
  it('7 and 8: open held fees keep the stake, also after the service is removed', async () => {
    const pair = await newPair()
    const heldId = await hold(pair, three())
    await pair.seller.serving.removeService()
    assert.equal(await chain.core.minAllocation(pair.seller.address), PARAMS.minProviderStakeWei)
    await chain.later(PARAMS.challengeSec)
    await serving.releaseHeld([heldId])
    assert.equal(await chain.core.minAllocation(pair.seller.address), 0n)
  })
})

describe('gas', () => {
  it('behavior: as committed', () => compareGas('compute-held', gas))
})
