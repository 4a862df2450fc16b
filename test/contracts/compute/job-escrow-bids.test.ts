import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { id, Result, ZeroAddress, ZeroHash } from 'ethers'
import { JobEscrow__factory } from '../../../typechain-types/index.js'
import { PARAMS as INFERENCE_PARAMS } from '../../support/inference-fixture.ts'
import {
  BOND_WEI,
  createJobs,
  JOB_OUTCOME,
  JOB_PARAMS,
  JOB_STATE,
  type JobWish,
  priceOf,
} from '../../support/job-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'

const jobs = await createJobs()
const { escrow, client, arbiter, owner, stranger } = jobs
const mine = escrow.connect(client)
/** 1,700,000, 1,600,000 and 1,690,000 wei for the default job. */
const dear = await jobs.newSeller(14)
const cheap = await jobs.newSeller(15, { inputPrice: 1n, outputPrice: 3n })
const almost = await jobs.newSeller(16, { inputPrice: 190n, outputPrice: 3n })
const DEAR_WEI = priceOf({ inputPrice: 2n, outputPrice: 3n })
const CHEAP_WEI = priceOf({ inputPrice: 1n, outputPrice: 3n })
const actors = [client, arbiter, owner, stranger, dear, cheap, almost].map(({ address }) => address)

/** A struct by the names of its members. */
const plain = (struct: unknown) => {
  assert.ok(struct instanceof Result)
  return { ...struct.toObject() }
}
const termsHashOf = async (jobId: bigint) => (await escrow.jobOf(jobId)).termsHash
const bidAs = async (operator: typeof dear, jobId: bigint, value = BOND_WEI, hash?: string) =>
  escrow.connect(operator).bid(jobId, hash ?? (await termsHashOf(jobId)), { value })
const refusesToOpen = async (wish: JobWish, error: string, args?: readonly unknown[]) => {
  const terms = await jobs.termsFor(wish)
  const value = terms.maxPriceWei + (await escrow.bondFor(terms.maxPriceWei))
  await revertsWith(mine.open(terms, { value }), escrow, error, args)
}

afterEach(() => jobs.assertConserved(actors))

describe('the opening of a job', () => {
  it('default: locks the maximum price and the client’s bond, and says all that a provider must know', async () => {
    const terms = await jobs.termsFor()
    const opened = await jobs.emitted(mine.open(terms, { value: 3_000_001n + BOND_WEI }), 'JobOpened')
    const jobId = await escrow.jobCount()
    const job = await escrow.jobOf(jobId)
    assert.equal(opened.jobId, jobId)
    assert.deepEqual(
      [opened.client, opened.provider, opened.arbiter, opened.bondWei, opened.bidsUntilSec],
      [client.address, ZeroAddress, arbiter.address, BOND_WEI, job.openedAtSec + 5_000n],
    )
    assert.deepEqual([...(opened.terms as unknown[])], [...job.terms])
    assert.deepEqual(plain(job.terms), terms)
    assert.deepEqual(
      [job.state, job.client, job.arbiter, job.provider, job.priceWei, job.bondWei, job.untilSec],
      [JOB_STATE.Open, client.address, arbiter.address, ZeroAddress, 3_000_001n, BOND_WEI, terms.deadlineSec],
    )
    assert.equal(job.termsHash, opened.termsHash)
  })

  it('behavior: a named provider’s posted price is what others must undercut', async () => {
    const jobId = await jobs.open({ provider: dear.address })
    assert.equal((await escrow.jobOf(jobId)).priceWei, DEAR_WEI)
  })

  it('behavior: a small price has the least bond', async () => {
    assert.equal(await escrow.bondFor(1n), JOB_PARAMS.minBondWei)
    assert.equal(await escrow.bondFor(5_001n), 1_001n)
    const jobId = await jobs.open({ maxPriceWei: 1n })
    assert.equal((await escrow.jobOf(jobId)).bondWei, JOB_PARAMS.minBondWei)
  })

  it('error: a value that is not price and bond', async () => {
    const terms = await jobs.termsFor()
    const needed = 3_000_001n + BOND_WEI
    for (const value of [0n, needed - 1n, needed + 1n])
      await revertsWith(mine.open(terms, { value }), escrow, 'WrongValue', [needed, value])
  })

  it('error: terms that nobody could fulfil', async () => {
    await refusesToOpen({ maxPriceWei: 0n }, 'ZeroPrice')
    await refusesToOpen({ params: `0x${'00'.repeat(1_025)}` }, 'ParamsTooLong', [1_025n, 1_024n])
    await refusesToOpen({ minUnits: 11n, maxUnits: 10n }, 'UnitsOutOfRange', [11n, 0n, 10n])
    await refusesToOpen({ maxOutputBytes: 256n }, 'OutputTooShort', [256n, 256n])
    const { maxTermPeriods } = await jobs.market.params()
    await refusesToOpen({ minStoragePeriods: maxTermPeriods + 1n }, 'StorageTooLong')
  })

  it('error: a deadline too near or too far, to the second', async () => {
    const terms = await jobs.termsFor()
    const value = terms.maxPriceWei + BOND_WEI
    const nowSec = (await jobs.latest()) + 100n
    const minSec = nowSec + terms.bidWindowSec + JOB_PARAMS.minWorkSec
    const maxSec = nowSec + JOB_PARAMS.maxDurationSec
    const refused = async (deadlineSec: bigint) => {
      await jobs.at(nowSec)
      const call = mine.open.staticCall({ ...terms, deadlineSec }, { value, blockTag: 'pending' })
      await revertsWith(call, escrow, 'DeadlineOutOfRange', [deadlineSec, minSec, maxSec])
    }
    await refused(minSec - 1n)
    await refused(maxSec + 1n)
    await jobs.at(nowSec)
    await mine.open({ ...terms, deadlineSec: minSec }, { value })
    const laterSec = nowSec + 10n
    await jobs.at(laterSec)
    await mine.open({ ...terms, deadlineSec: laterSec + JOB_PARAMS.maxDurationSec }, { value })
  })

  it('error: one party twice', async () => {
    await refusesToOpen({ arbiter: client.address }, 'SameParty', [client.address])
    await refusesToOpen({ provider: client.address }, 'SameParty', [client.address])
    await refusesToOpen({ provider: dear.address, arbiter: dear.address }, 'SameParty', [dear.address])
  })

  it('error: a named provider that is unfit, or too dear', async () => {
    await refusesToOpen({ provider: stranger.address }, 'NotListed', [stranger.address])
    await refusesToOpen({ provider: dear.address, modelHash: id('chat') }, 'WrongModel')
    await refusesToOpen({ provider: dear.address, maxPriceWei: DEAR_WEI - 1n }, 'PriceTooHigh', [
      DEAR_WEI,
      DEAR_WEI - 1n,
    ])
    await jobs.open({ provider: dear.address, maxPriceWei: DEAR_WEI })
  })
})

describe('a bid', () => {
  it('default: takes an open job for the posted price, and a cheaper one replaces it', async () => {
    const jobId = await jobs.open()
    assert.deepEqual([...(await escrow.bidOf(jobId, dear.address))], [DEAR_WEI, BOND_WEI])
    const { bidsUntilSec } = await escrow.jobOf(jobId)
    const first = await jobs.emitted(bidAs(dear, jobId), 'JobAssigned')
    assert.deepEqual(first, { jobId, provider: dear.address, priceWei: DEAR_WEI, bidsUntilSec })
    const second = bidAs(cheap, jobId)
    const outbid = await jobs.emitted(second, 'JobOutbid')
    assert.deepEqual(outbid, { jobId, provider: dear.address, bondWei: BOND_WEI })
    const job = await escrow.jobOf(jobId)
    assert.deepEqual([job.state, job.provider, job.priceWei], [JOB_STATE.Assigned, cheap.address, CHEAP_WEI])
    assert.deepEqual(await jobs.creditsOf(dear), [BOND_WEI])
    await escrow.connect(dear).withdraw(dear.address)
    await revertsWith(bidAs(dear, jobId), escrow, 'PriceTooHigh')
    await revertsWith(bidAs(cheap, jobId), escrow, 'AlreadyAssigned', [jobId, cheap.address])
  })

  it('behavior: a replacement must be cheaper by the step, to the wei', () =>
    jobs.chain.rolledBack(async () => {
      const wish = { inputUnits: 1_000_000n, maxPriceWei: 1_000_000_000n, maxUnits: 10n }
      await jobs.announce(dear, { inputPrice: 101n, outputPrice: 1n })
      await jobs.announce(almost, { inputPrice: 100n, outputPrice: 1n })
      // A rise counts only after the notice.
      assert.equal((await escrow.bidOf(await jobs.open(wish), dear.address)).priceWei, 2_000_010n)
      await jobs.at((await jobs.latest()) + INFERENCE_PARAMS.noticeSec)
      const jobId = await jobs.open(wish)
      const { bondWei } = await escrow.jobOf(jobId)
      await bidAs(dear, jobId, bondWei)
      assert.equal((await escrow.jobOf(jobId)).priceWei, 101_000_010n)
      // One per cent of 101,000,010 is 1,010,000.1, rounded up.
      await revertsWith(bidAs(almost, jobId, bondWei), escrow, 'PriceTooHigh', [100_000_010n, 99_990_009n])
      await jobs.announce(almost, { inputPrice: 99n, outputPrice: 1n })
      await bidAs(almost, jobId, bondWei)
    }))

  it('behavior: within the window only, to the second; after it the first bid is firm', async () => {
    const jobId = await jobs.open()
    const { bidsUntilSec, termsHash } = await escrow.jobOf(jobId)
    await bidAs(dear, jobId)
    await jobs.at(bidsUntilSec)
    await revertsWith(
      escrow.connect(cheap).bid(jobId, termsHash, { value: BOND_WEI, gasLimit: 1_000_000n }),
      escrow,
      'BidWindowClosed',
      [jobId, bidsUntilSec],
    )
    const other = await jobs.open()
    const { bidsUntilSec: until, termsHash: hash } = await escrow.jobOf(other)
    await bidAs(dear, other)
    await jobs.at(until - 1n)
    await escrow.connect(cheap).bid(other, hash, { value: BOND_WEI })
    assert.equal((await escrow.jobOf(other)).provider, cheap.address)

    const late = await jobs.open()
    await jobs.at((await escrow.jobOf(late)).bidsUntilSec)
    await bidAs(dear, late)
    await revertsWith(bidAs(cheap, late), escrow, 'BidWindowClosed')
  })

  it('behavior: no bid from the deadline on, to the second', async () => {
    const jobId = await jobs.open()
    const { untilSec } = await escrow.jobOf(jobId)
    const hash = await termsHashOf(jobId)
    await jobs.at(untilSec)
    const late = escrow.connect(dear).bid(jobId, hash, { value: BOND_WEI, gasLimit: 1_000_000n })
    await revertsWith(late, escrow, 'WindowClosed', [jobId, untilSec])
    const other = await jobs.open()
    const otherHash = await termsHashOf(other)
    await jobs.at((await escrow.jobOf(other)).untilSec - 1n)
    await escrow.connect(dear).bid(other, otherHash, { value: BOND_WEI })
  })

  it('behavior: a named provider bids at any price within the maximum, others must undercut it', async () => {
    const jobId = await jobs.open({ provider: cheap.address })
    await revertsWith(bidAs(dear, jobId), escrow, 'PriceTooHigh', [DEAR_WEI, CHEAP_WEI - CHEAP_WEI / 100n])
    await bidAs(cheap, jobId)
    const other = await jobs.open({ provider: dear.address })
    await bidAs(cheap, other)
    await revertsWith(bidAs(dear, other), escrow, 'PriceTooHigh')
  })

  it('behavior: with a named provider and no window, nobody else bids', async () => {
    const jobId = await jobs.open({ provider: dear.address, bidWindowSec: 0n })
    await revertsWith(bidAs(cheap, jobId), escrow, 'NotNamed', [jobId, cheap.address])
    await bidAs(dear, jobId)
    await revertsWith(bidAs(cheap, jobId), escrow, 'BidWindowClosed')
  })

  it('error: without a listed service, its stake, its standing, its model or a price', async () => {
    const jobId = await jobs.open()
    await revertsWith(bidAs(stranger, jobId), escrow, 'NotListed', [stranger.address])

    const poor = await jobs.newSeller(17, { inputPrice: 1n, outputPrice: 1n })
    await jobs.staking.connect(poor).requestDeallocation(jobs.serving, 1n)
    const neededWei = INFERENCE_PARAMS.minProviderStakeWei
    await revertsWith(bidAs(poor, jobId), escrow, 'InsufficientStake', [
      ...[poor.address, neededWei, neededWei - 1n],
    ])
    await jobs.staking.connect(poor).cancelDeallocation(jobs.serving)

    await jobs.serving.connect(owner).revokeTEESignerAcknowledgement(poor)
    await revertsWith(bidAs(poor, jobId), escrow, 'ServiceRevoked', [poor.address])
    await jobs.serving.connect(owner).acknowledgeTEESignerByOwner(poor)
    await bidAs(poor, jobId)

    const chat = await jobs.newSeller(18, { inputPrice: 1n, outputPrice: 0n }, 'chat')
    const open = await jobs.open()
    await revertsWith(bidAs(chat, open), escrow, 'WrongModel', [chat.address, id('digits')])
    const free = await jobs.open({ modelHash: id('chat'), inputUnits: 0n })
    await revertsWith(bidAs(chat, free), escrow, 'ZeroPrice')
  })

  it('error: another bond, other terms, a job that is not there, a party of the job', async () => {
    const jobId = await jobs.open()
    for (const value of [0n, BOND_WEI - 1n, BOND_WEI + 1n])
      await revertsWith(bidAs(dear, jobId, value), escrow, 'WrongValue', [BOND_WEI, value])
    const hash = await termsHashOf(jobId)
    const other = await jobs.open()
    await revertsWith(bidAs(dear, other, BOND_WEI, hash), escrow, 'TermsMismatch')
    await revertsWith(bidAs(dear, 999n, 0n, ZeroHash), escrow, 'WrongState', [999n, JOB_STATE.None])
    await revertsWith(bidAs(client, jobId), escrow, 'SameParty', [client.address])
    const judged = await jobs.open({ arbiter: dear.address })
    await revertsWith(bidAs(dear, judged), escrow, 'SameParty', [dear.address])
  })
})

describe('an open job', () => {
  it('default: its client takes all back while nobody has taken it', async () => {
    const jobId = await jobs.open()
    const [before = 0n] = await jobs.creditsOf(client)
    await revertsWith(escrow.connect(stranger).cancel(jobId), escrow, 'NotClient', [jobId, stranger.address])
    const closed = await jobs.emitted(mine.cancel(jobId), 'JobClosed')
    assert.deepEqual(closed, {
      ...{ jobId, client: client.address, provider: ZeroAddress, state: JOB_STATE.Refunded },
      ...{
        outcome: JOB_OUTCOME.Cancelled,
        clientWei: 3_000_001n + BOND_WEI,
        providerWei: 0n,
        arbiterWei: 0n,
      },
    })
    assert.deepEqual(await jobs.creditsOf(client), [before + 3_000_001n + BOND_WEI])
    await revertsWith(mine.cancel(jobId), escrow, 'WrongState', [jobId, JOB_STATE.Refunded])
    await revertsWith(bidAs(dear, jobId), escrow, 'WrongState', [jobId, JOB_STATE.Refunded])
  })

  it('error: it cannot be cancelled once somebody has it', async () => {
    const jobId = await jobs.open()
    await bidAs(dear, jobId)
    await revertsWith(mine.cancel(jobId), escrow, 'WrongState', [jobId, JOB_STATE.Assigned])
  })

  it('behavior: nobody took it: from the deadline on anybody closes it and the client gets all back', async () => {
    const jobId = await jobs.open()
    const { untilSec } = await escrow.jobOf(jobId)
    await revertsWith(escrow.connect(stranger).close(jobId), escrow, 'WindowOpen', [jobId, untilSec])
    const [before = 0n] = await jobs.creditsOf(client)
    await jobs.at(untilSec)
    const closed = await jobs.emitted(escrow.connect(stranger).close(jobId), 'JobClosed')
    assert.deepEqual([closed.state, closed.outcome], [JOB_STATE.TimedOut, JOB_OUTCOME.Untaken])
    assert.deepEqual(await jobs.creditsOf(client), [before + 3_000_001n + BOND_WEI])
    await revertsWith(escrow.close(jobId), escrow, 'WrongState', [jobId, JOB_STATE.TimedOut])
  })
})

describe('the escrow’s owner', () => {
  it('default: names the arbiter of later jobs, and a verifier per mode once', async () => {
    const asOwner = escrow.connect(owner)
    const before = await jobs.open()
    await asOwner.setDefaultArbiter(stranger)
    await asOwner.setVerifier(3, stranger)
    await asOwner.setDefaultArbiter(arbiter)
    assert.equal(await escrow.verifierOf(3), stranger.address)
    const named = { arbiter: almost.address }
    const arbiterOf = async (jobId: bigint) => (await escrow.jobOf(jobId)).arbiter
    assert.equal(await arbiterOf(before), arbiter.address)
    assert.equal(await arbiterOf(await jobs.open(named)), almost.address)
    // A mode without a verifier needs an arbiter; a mode with one needs none.
    assert.equal(await arbiterOf(await jobs.open({ verificationMode: 2n })), arbiter.address)
    assert.equal(await arbiterOf(await jobs.open({ ...named, verificationMode: 3n })), stranger.address)
    await revertsWith(asOwner.setVerifier(3, owner), escrow, 'VerifierAlreadySet', [3n, stranger.address])
    await revertsWith(asOwner.setVerifier(0, owner), escrow, 'InvalidParams')
    await revertsWith(asOwner.setVerifier(4, ZeroAddress), escrow, 'ZeroAddress')
    await revertsWith(asOwner.setDefaultArbiter(ZeroAddress), escrow, 'ZeroAddress')
    await revertsWith(asOwner.renounceOwnership(), escrow, 'OwnershipNotRenounceable')
  })

  it('error: nobody else does', async () => {
    await revertsWith(mine.setDefaultArbiter(client), escrow, 'OwnableUnauthorizedAccount')
    await revertsWith(mine.setVerifier(1, client), escrow, 'OwnableUnauthorizedAccount')
  })

  it('error: parameters that make no sense', async () => {
    const { beacon, market, staking, serving } = jobs
    const deploy = (changed: Partial<typeof JOB_PARAMS>, judge = arbiter.address) =>
      new JobEscrow__factory(owner).deploy(
        ...([owner, beacon, market, staking, serving, { ...JOB_PARAMS, ...changed }, judge] as const),
      )
    const wrong = [
      ...[{ bondBps: 10_001n }, { arbiterBps: 5_001n }, { stepBps: 0n }, { stepBps: 10_000n }],
      ...[{ challengeSec: 0n }, { arbiterSec: 0n }, { minWorkSec: 0n }, { minBondWei: 0n }],
      { maxDurationSec: JOB_PARAMS.minWorkSec - 1n },
    ]
    for (const changed of wrong) await revertsWith(deploy(changed), escrow, 'InvalidParams')
    await revertsWith(deploy({}, ZeroAddress), escrow, 'ZeroAddress')
    assert.deepEqual(plain(await escrow.params()), JOB_PARAMS)
  })
})
