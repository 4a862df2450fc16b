import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import type { ContractTransactionResponse } from 'ethers'
import { id, ZeroAddress, ZeroHash } from 'ethers'
import { JobEscrow__factory, ReentrantReceiverMock__factory } from '../../../typechain-types/index.js'
import { compareGas, type GasFigure } from '../../support/gas-snapshot.ts'
import {
  BOND_WEI,
  createJobs,
  JOB_OUTCOME,
  JOB_PARAMS,
  JOB_STATE,
  priceOf,
} from '../../support/job-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'

const jobs = await createJobs()
const { escrow, client, arbiter, owner, stranger } = jobs
const mine = escrow.connect(client)
const asArbiter = escrow.connect(arbiter)
const seller = await jobs.newSeller(14)
const rival = await jobs.newSeller(15, { inputPrice: 1n, outputPrice: 3n })
const asSeller = escrow.connect(seller)
const asStranger = escrow.connect(stranger)
const actors = [client, arbiter, owner, stranger, seller, rival].map(({ address }) => address)

const MAX_WEI = 3_000_001n
const PRICE_WEI = priceOf({ inputPrice: 2n, outputPrice: 3n })
/** The arbiter's part of a bond, rounded down. */
const ARBITER_WEI = (BOND_WEI * JOB_PARAMS.arbiterBps) / 10_000n

/** What the end of a job must credit to client, provider and arbiter; all it held. */
type Split = { client: bigint; provider: bigint; arbiter: bigint }

/** Ends a job and holds credits, event and state against what they must be; afterwards nothing more happens to it. */
async function ends(
  jobId: bigint,
  end: () => Promise<ContractTransactionResponse>,
  expected: Split & { state: keyof typeof JOB_STATE; outcome: keyof typeof JOB_OUTCOME },
) {
  const job = await escrow.jobOf(jobId)
  const parties = [client, seller, arbiter]
  const before = await jobs.creditsOf(...parties)
  const closed = await jobs.emitted(end(), 'JobClosed')
  const after = await jobs.creditsOf(...parties)
  const gained = after.map((wei, i) => wei - (before[i] ?? 0n))
  assert.deepEqual(gained, [expected.client, expected.provider, expected.arbiter])
  assert.equal(expected.client + expected.provider + expected.arbiter, MAX_WEI + 2n * BOND_WEI)
  assert.deepEqual(closed, {
    ...{ jobId, client: client.address, provider: seller.address },
    ...{ state: JOB_STATE[expected.state], outcome: JOB_OUTCOME[expected.outcome] },
    ...{ clientWei: expected.client, providerWei: expected.provider, arbiterWei: expected.arbiter },
  })
  const ended = await escrow.jobOf(jobId)
  assert.deepEqual([ended.state, ended.untilSec], [JOB_STATE[expected.state], 0n])
  // Output, terms and parties stay as they were.
  assert.equal(String([...ended].slice(9)), String([...job].slice(9)))
  await isOver(jobId, ended)
}

/** Every call on a job that is over is refused: nothing is paid twice. */
async function isOver(
  jobId: bigint,
  { state, termsHash, outputRoot }: { state: bigint; termsHash: string; outputRoot: string },
) {
  const wrong = [jobId, state]
  const empty = { txSeq: 0, byteLength: 0, nodes: [], header: '0x', path: [] }
  for (const call of [
    ...[mine.cancel(jobId), mine.accept(jobId, outputRoot), mine.dispute(jobId, ZeroHash)],
    ...[escrow.close(jobId), asArbiter.rule(jobId, true), asArbiter.rule(jobId, false)],
    ...[asSeller.giveUp(jobId), asSeller.deliver(jobId, empty), asSeller.answerDispute(jobId, ZeroHash)],
    escrow.connect(rival).bid(jobId, termsHash, { value: BOND_WEI }),
  ])
    await revertsWith(call, escrow, 'WrongState', wrong)
}

async function openDisputed() {
  const { jobId } = await jobs.openDelivered(seller)
  await mine.dispute(jobId, id('evidence'))
  return jobId
}

const untilOf = async (jobId: bigint) => (await escrow.jobOf(jobId)).untilSec

afterEach(() => jobs.assertConserved(actors))

describe('an assigned job', () => {
  const late = { client: MAX_WEI + 2n * BOND_WEI, provider: 0n, arbiter: 0n }

  it('behavior: the provider vanishes: from the deadline on anybody closes it, and its bond is the client’s', async () => {
    const jobId = await jobs.openFirm(seller)
    const untilSec = await untilOf(jobId)
    await revertsWith(asStranger.close(jobId), escrow, 'WindowOpen', [jobId, untilSec])
    await jobs.at(untilSec - 1n)
    const early = asStranger.close(jobId, { gasLimit: 500_000n })
    await revertsWith(early, escrow, 'WindowOpen', [jobId, untilSec])
    await ends(jobId, () => asStranger.close(jobId), { ...late, state: 'TimedOut', outcome: 'Late' })
  })

  it('behavior: the provider gives up: the same at once', async () => {
    const jobId = await jobs.openFirm(seller)
    await revertsWith(mine.giveUp(jobId), escrow, 'NotProvider', [jobId, client.address])
    await ends(jobId, () => asSeller.giveUp(jobId), { ...late, state: 'TimedOut', outcome: 'Late' })
  })

  it('error: what belongs to later states', async () => {
    const jobId = await jobs.openFirm(seller)
    const wrong = [jobId, JOB_STATE.Assigned]
    await revertsWith(mine.accept(jobId, ZeroHash), escrow, 'WrongState', wrong)
    await revertsWith(mine.dispute(jobId, ZeroHash), escrow, 'WrongState', wrong)
    await revertsWith(asArbiter.rule(jobId, false), escrow, 'WrongState', wrong)
    await revertsWith(asSeller.answerDispute(jobId, ZeroHash), escrow, 'WrongState', wrong)
    await revertsWith(mine.cancel(jobId), escrow, 'WrongState', wrong)
  })
})

describe('a delivered job', () => {
  const paid = { client: MAX_WEI - PRICE_WEI + BOND_WEI, provider: PRICE_WEI + BOND_WEI, arbiter: 0n }

  it('default: the client accepts: price and bond are the provider’s at once, the rest the client’s', async () => {
    const { jobId, delivery } = await jobs.openDelivered(seller)
    const byStranger = asStranger.accept(jobId, delivery.root)
    await revertsWith(byStranger, escrow, 'NotClient', [jobId, stranger.address])
    await revertsWith(mine.accept(jobId, id('other')), escrow, 'OutputRootMismatch', [jobId, delivery.root])
    const expected = { ...paid, state: 'Settled', outcome: 'Accepted' } as const
    await ends(jobId, () => mine.accept(jobId, delivery.root), expected)
  })

  it('behavior: the client keeps silent: anybody settles it when the challenge window is over', async () => {
    const { jobId } = await jobs.openDelivered(seller)
    const untilSec = await untilOf(jobId)
    assert.equal(untilSec, (await jobs.latest()) + JOB_PARAMS.challengeSec)
    await revertsWith(asStranger.close(jobId), escrow, 'WindowOpen', [jobId, untilSec])
    await jobs.at(untilSec)
    await ends(jobId, () => asStranger.close(jobId), { ...paid, state: 'Settled', outcome: 'Unchallenged' })
  })

  it('behavior: also after the window the client may accept, and no longer dispute, to the second', async () => {
    const { jobId, delivery } = await jobs.openDelivered(seller)
    const untilSec = await untilOf(jobId)
    await jobs.chain.rolledBack(async () => {
      await jobs.at(untilSec - 1n)
      await mine.dispute(jobId, ZeroHash)
    })
    await jobs.at(untilSec)
    const late = mine.dispute(jobId, ZeroHash, { gasLimit: 500_000n })
    await revertsWith(late, escrow, 'WindowClosed', [jobId, untilSec])
    const expected = { ...paid, state: 'Settled', outcome: 'Accepted' } as const
    await ends(jobId, () => mine.accept(jobId, delivery.root), expected)
  })

  it('error: what only others may do, or belongs to other states', async () => {
    const { jobId } = await jobs.openDelivered(seller)
    const wrong = [jobId, JOB_STATE.Delivered]
    await revertsWith(asStranger.dispute(jobId, ZeroHash), escrow, 'NotClient', [jobId, stranger.address])
    await revertsWith(asSeller.dispute(jobId, ZeroHash), escrow, 'NotClient', [jobId, seller.address])
    await revertsWith(asSeller.giveUp(jobId), escrow, 'WrongState', wrong)
    await revertsWith(asArbiter.rule(jobId, true), escrow, 'WrongState', wrong)
    await mine.accept(jobId, (await escrow.jobOf(jobId)).outputRoot)
  })
})

describe('a disputed job', () => {
  it('default: the provider is right: a griefing client pays it and the arbiter with its bond', async () => {
    const { jobId } = await jobs.openDelivered(seller)
    const disputed = await jobs.emitted(mine.dispute(jobId, id('evidence')), 'JobDisputed')
    assert.deepEqual(disputed, {
      ...{ jobId, provider: seller.address, arbiter: arbiter.address, evidenceRoot: id('evidence') },
      ruleUntilSec: (await jobs.latest()) + JOB_PARAMS.arbiterSec,
    })
    const answered = await jobs.emitted(asSeller.answerDispute(jobId, id('answer')), 'DisputeAnswered')
    assert.deepEqual(answered, { jobId, provider: seller.address, evidenceRoot: id('answer') })
    await ends(jobId, () => asArbiter.rule(jobId, true), {
      ...{ client: MAX_WEI - PRICE_WEI, provider: PRICE_WEI + 2n * BOND_WEI - ARBITER_WEI },
      ...{ arbiter: ARBITER_WEI, state: 'Settled', outcome: 'ForProvider' },
    })
  })

  it('behavior: the client is right: it gets all back and most of the provider’s bond', async () => {
    const jobId = await openDisputed()
    await ends(jobId, () => asArbiter.rule(jobId, false), {
      ...{ client: MAX_WEI + 2n * BOND_WEI - ARBITER_WEI, provider: 0n, arbiter: ARBITER_WEI },
      ...{ state: 'Refunded', outcome: 'ForClient' },
    })
  })

  it('behavior: a silent arbiter: the price is split, both bonds go back, the arbiter gets nothing', async () => {
    const odd = 1_700_001n
    const cheap = await jobs.newSeller(17, { inputPrice: 1n, outputPrice: 1n }, 'odd')
    const wish = { modelHash: id('odd'), inputUnits: odd - 500_000n }
    const { jobId } = await jobs.openDelivered(cheap, wish)
    assert.equal((await escrow.jobOf(jobId)).priceWei, odd)
    await mine.dispute(jobId, ZeroHash)
    const untilSec = await untilOf(jobId)
    await revertsWith(asStranger.close(jobId), escrow, 'WindowOpen', [jobId, untilSec])
    await jobs.at(untilSec)
    const silent = asArbiter.rule(jobId, true, { gasLimit: 500_000n })
    await revertsWith(silent, escrow, 'WindowClosed', [jobId, untilSec])
    await revertsWith(escrow.connect(cheap).answerDispute(jobId, ZeroHash), escrow, 'WindowClosed')
    const closed = await jobs.emitted(asStranger.close(jobId), 'JobClosed')
    // Rounded against the provider, down.
    assert.deepEqual(
      [closed.state, closed.outcome, closed.clientWei, closed.providerWei, closed.arbiterWei],
      [
        ...[JOB_STATE.TimedOut, JOB_OUTCOME.ArbiterSilent],
        ...[MAX_WEI - odd / 2n + BOND_WEI, odd / 2n + BOND_WEI, 0n],
      ],
    )
    await escrow.connect(cheap).withdraw(cheap.address)
    await isOver(jobId, await escrow.jobOf(jobId))
  })

  it('behavior: the arbiter may rule in the last second of its window', async () => {
    const jobId = await openDisputed()
    await jobs.at((await untilOf(jobId)) - 1n)
    await asArbiter.rule(jobId, true)
  })

  it('error: anybody else rules or answers, or the parties try to end it', async () => {
    const jobId = await openDisputed()
    const wrong = [jobId, JOB_STATE.Disputed]
    for (const signer of [client, seller, stranger, owner])
      await revertsWith(escrow.connect(signer).rule(jobId, true), escrow, 'NotArbiter', [
        jobId,
        signer.address,
      ])
    const byClient = mine.answerDispute(jobId, ZeroHash)
    await revertsWith(byClient, escrow, 'NotProvider', [jobId, client.address])
    await revertsWith(mine.dispute(jobId, ZeroHash), escrow, 'WrongState', wrong)
    await revertsWith(mine.accept(jobId, ZeroHash), escrow, 'WrongState', wrong)
    await revertsWith(asSeller.giveUp(jobId), escrow, 'WrongState', wrong)
    await asArbiter.rule(jobId, true)
  })
})

describe('the escrow’s money', () => {
  it('default: what an account is owed it withdraws once, to where it likes', async () => {
    const { jobId, delivery } = await jobs.openDelivered(rival)
    await mine.accept(jobId, delivery.root)
    const [wei = 0n] = await jobs.creditsOf(rival)
    const to = `0x${'11'.repeat(20)}`
    const event = await jobs.emitted(escrow.connect(rival).withdraw(to), 'Withdrawn')
    assert.deepEqual(event, { account: rival.address, to, amountWei: wei })
    assert.equal(await jobs.chain.ethers.provider.getBalance(to), wei)
    await revertsWith(escrow.connect(rival).withdraw(to), escrow, 'NothingToWithdraw', [rival.address])
    await revertsWith(mine.withdraw(ZeroAddress), escrow, 'ZeroAddress')
  })

  it('behavior: a receiver that calls back gets nothing more, in any function that moves money', async () => {
    // The mock calls whatever address it is given.
    const receiver = await new ReentrantReceiverMock__factory(owner).deploy(escrow)
    const address = await receiver.getAddress()
    const terms = await jobs.termsFor()
    const value = MAX_WEI + BOND_WEI
    const encode = escrow.interface
    const attacks = [
      encode.encodeFunctionData('withdraw', [address]),
      encode.encodeFunctionData('open', [terms]),
      encode.encodeFunctionData('bid', [1n, ZeroHash]),
    ]
    for (const attack of attacks) {
      await receiver.call(encode.encodeFunctionData('open', [terms]), { value })
      const jobId = await escrow.jobCount()
      await receiver.call(encode.encodeFunctionData('cancel', [jobId]))
      assert.equal(await escrow.creditOf(receiver), value)
      await receiver.arm(attack, false)
      const before = await jobs.chain.ethers.provider.getBalance(address)
      await receiver.call(encode.encodeFunctionData('withdraw', [address]))
      const [attacked, succeeded, answer] = await receiver.outcome()
      assert.deepEqual([attacked, succeeded], [true, false])
      assert.equal(encode.parseError(answer)?.name, 'ReentrancyGuardReentrantCall')
      assert.equal((await jobs.chain.ethers.provider.getBalance(address)) - before, value)
    }
    // A cancellation from within moves no coins and pays nothing twice.
    await receiver.call(encode.encodeFunctionData('open', [terms]), { value })
    const first = await escrow.jobCount()
    await receiver.call(encode.encodeFunctionData('open', [terms]), { value })
    await receiver.call(encode.encodeFunctionData('cancel', [first]))
    await receiver.arm(encode.encodeFunctionData('cancel', [first]), false)
    await receiver.call(encode.encodeFunctionData('withdraw', [address]))
    const [, succeeded, answer] = await receiver.outcome()
    assert.deepEqual([succeeded, encode.parseError(answer)?.name], [false, 'WrongState'])
    await receiver.call(encode.encodeFunctionData('cancel', [first + 1n]))
    await receiver.arm('0x', true)
    const withdrawal = encode.encodeFunctionData('withdraw', [address])
    await revertsWith(receiver.call(withdrawal), escrow, 'TransferFailed', [address, value])
    assert.equal(await escrow.creditOf(receiver), value)
    await receiver.call(encode.encodeFunctionData('withdraw', [stranger.address]))
  })

  it('behavior: a replaced bidder is credited and not called, so it can block nobody', async () => {
    const jobId = await jobs.open()
    await jobs.bid(jobId, seller)
    const [before = 0n] = await jobs.creditsOf(seller)
    const coins = await jobs.chain.ethers.provider.getBalance(seller)
    await jobs.bid(jobId, rival)
    assert.deepEqual(await jobs.creditsOf(seller), [before + BOND_WEI])
    assert.equal(await jobs.chain.ethers.provider.getBalance(seller), coins)
  })

  it('behavior: coins sent without a call are refused', async () => {
    await assert.rejects(stranger.sendTransaction({ to: jobs.escrowAddress, value: 1n }))
  })
})

describe('hostile parties', () => {
  it('behavior: a provider that is stopped or takes its service away after its bid may still deliver', () =>
    jobs.chain.rolledBack(async () => {
      const jobId = await jobs.openFirm(seller)
      await jobs.serving.connect(owner).revokeTEESignerAcknowledgement(seller)
      await jobs.serving.connect(seller).removeService()
      const delivery = await jobs.store(await jobs.outputFor(jobId, seller.address))
      await asSeller.deliver(jobId, jobs.struct(delivery))
      await mine.accept(jobId, delivery.root)
    }))

  it('behavior: an output for one escrow is none for another with the same job', async () => {
    const { beacon, market, staking, serving } = jobs
    const other = await new JobEscrow__factory(owner).deploy(
      ...([owner, beacon, market, staking, serving, JOB_PARAMS, arbiter] as const),
    )
    const terms = await jobs.termsFor({ provider: seller.address, bidWindowSec: 0n })
    while ((await other.jobCount()) < (await escrow.jobCount()))
      await other.connect(client).open(terms, { value: MAX_WEI + BOND_WEI })
    const jobId = await jobs.openFirm(seller)
    await other.connect(client).open(terms, { value: MAX_WEI + BOND_WEI })
    const { termsHash } = await other.jobOf(jobId)
    assert.notEqual(termsHash, (await escrow.jobOf(jobId)).termsHash)
    await other.connect(seller).bid(jobId, termsHash, { value: BOND_WEI })
    const delivery = jobs.struct(await jobs.store(await jobs.outputFor(jobId, seller.address)))
    await revertsWith(other.connect(seller).deliver(jobId, delivery), other, 'HeaderMalformed')
    await asSeller.deliver(jobId, delivery)
  })

  it('behavior: a client that outbids with an address of its own and gives up gains nothing', async () => {
    const [before = 0n] = await jobs.creditsOf(client)
    const jobId = await jobs.open()
    await jobs.bid(jobId, seller)
    const [owed = 0n] = await jobs.creditsOf(seller)
    await jobs.bid(jobId, rival)
    await jobs.afterBids(jobId)
    await escrow.connect(rival).giveUp(jobId)
    // What it gets is what it and its other address paid in; the honest bidder has its bond back.
    assert.deepEqual(await jobs.creditsOf(client, seller), [
      before + MAX_WEI + 2n * BOND_WEI,
      owed + BOND_WEI,
    ])
  })

  it('behavior: a client cannot take a dispute back once it sees that it loses', async () => {
    const jobId = await openDisputed()
    const { outputRoot } = await escrow.jobOf(jobId)
    await revertsWith(mine.accept(jobId, outputRoot), escrow, 'WrongState', [jobId, JOB_STATE.Disputed])
    await asArbiter.rule(jobId, true)
  })
})

it('gas of a job', async () => {
  const gas: Record<string, GasFigure> = {}
  const measure = async (name: string, transaction: Promise<ContractTransactionResponse>) => {
    const receipt = await (await transaction).wait()
    assert.ok(receipt)
    gas[name] = { gas: receipt.gasUsed }
  }
  // Parties that have never been credited: the dearest case, and the same in whatever order tests run.
  const [buyer, judge] = [jobs.chain.signer(7), jobs.chain.signer(5)]
  const first = await jobs.newSeller(18)
  const second = await jobs.newSeller(19, { inputPrice: 1n, outputPrice: 3n })
  const byBuyer = escrow.connect(buyer)
  const terms = await jobs.termsFor({ provider: first.address, arbiter: judge.address })
  await measure('open, named', byBuyer.open(terms, { value: MAX_WEI + BOND_WEI }))
  const jobId = await escrow.jobCount()
  await measure('bid', jobs.bid(jobId, first))
  await measure('bid, replacing another', jobs.bid(jobId, second))
  await jobs.afterBids(jobId)
  const output = await jobs.store(await jobs.outputFor(jobId, second.address))
  await measure('deliver', escrow.connect(second).deliver(jobId, jobs.struct(output)))
  await jobs.chain.rolledBack(() => measure('accept', byBuyer.accept(jobId, output.root)))
  await measure('dispute', byBuyer.dispute(jobId, id('evidence')))
  await jobs.chain.rolledBack(() => measure('rule', escrow.connect(judge).rule(jobId, true)))
  await jobs.at(await untilOf(jobId))
  await measure('close, split', asStranger.close(jobId))
  for (const account of [first, second, buyer]) {
    await measure('withdraw', escrow.connect(account).withdraw(account.address))
  }
  compareGas('job escrow', gas)
})
