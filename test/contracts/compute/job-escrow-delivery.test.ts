import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { id, ZeroHash } from 'ethers'
import { JOB_HEADER_BYTES, type JobDelivery, jobOutputKey } from '../../../sdk/protocol/job-output.ts'
import { submissionRoot } from '../../../sdk/protocol/submission.ts'
import { BOND_WEI, createJobs, JOB_PARAMS, JOB_STATE, type JobWish } from '../../support/job-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { currentPeriod } from '../../support/storage-fixture.ts'

const jobs = await createJobs()
const { escrow, client, arbiter, owner, stranger, market } = jobs
const seller = await jobs.newSeller(14)
const rival = await jobs.newSeller(15, { inputPrice: 1n, outputPrice: 3n })
const actors = [client, arbiter, owner, stranger, seller, rival].map(({ address }) => address)
const asSeller = escrow.connect(seller)

const deliver = (jobId: bigint, delivery: JobDelivery) => asSeller.deliver(jobId, jobs.struct(delivery))
const firm = (wish: JobWish = {}) => jobs.openFirm(seller, wish)
const good = async (jobId: bigint, bytes?: number) =>
  jobs.store(await jobs.outputFor(jobId, seller.address, bytes))
const stateOf = async (jobId: bigint) => (await escrow.jobOf(jobId)).state
/** A word of a header, changed. */
const withWord = (output: Uint8Array, index: number, value: string) => {
  const changed = output.slice()
  changed.set(Buffer.from(value.slice(2), 'hex'), 32 * index)
  return changed
}

afterEach(() => jobs.assertConserved(actors))

describe('a delivery', () => {
  it('default: a sealed output with its header opens the challenge window', async () => {
    const jobId = await firm()
    const delivery = await good(jobId)
    const event = await jobs.emitted(deliver(jobId, delivery), 'JobDelivered')
    const job = await escrow.jobOf(jobId)
    const challengeUntilSec = (await jobs.latest()) + JOB_PARAMS.challengeSec
    assert.deepEqual(event, {
      ...{ jobId, provider: seller.address, client: client.address, txSeq: delivery.txSeq },
      ...{ outputRoot: delivery.root, outputUnits: 1_000n, outputBytes: 5_256n, challengeUntilSec },
    })
    assert.deepEqual(
      [job.state, job.outputTxSeq, job.outputRoot, job.outputUnits, job.outputBytes, job.untilSec],
      [JOB_STATE.Delivered, delivery.txSeq, delivery.root, 1_000n, 5_256n, challengeUntilSec],
    )
    assert.equal(delivery.root, submissionRoot(delivery.nodes))
  })

  it('behavior: an output of any shape, from one byte of body to several nodes', async () => {
    let nodes = 0
    for (const bytes of [1, 256, 1_000, 5_000, 300_000]) {
      const jobId = await firm()
      const delivery = await good(jobId, bytes)
      await deliver(jobId, delivery)
      assert.equal((await escrow.jobOf(jobId)).outputRoot, delivery.root, `${bytes} bytes`)
      assert.equal(delivery.path.length, delivery.nodes[0]?.height)
      nodes = Math.max(nodes, delivery.nodes.length)
    }
    assert.ok(nodes > 1)
  })

  it('behavior: the key in the header is that of the contract', async () => {
    const { chainId, escrowAddress } = jobs
    const key = jobOutputKey({ chainId, escrow: escrowAddress, jobId: 77n, provider: seller.address })
    assert.equal(await escrow.outputKeyOf(77n, seller), key)
    assert.notEqual(await escrow.outputKeyOf(78n, seller), key)
    assert.notEqual(await escrow.outputKeyOf(77n, rival), key)
  })

  it('behavior: before the deadline, to the second', async () => {
    const jobId = await firm()
    const delivery = await good(jobId)
    const { untilSec } = await escrow.jobOf(jobId)
    await jobs.chain.rolledBack(async () => {
      await jobs.at(untilSec - 1n)
      await deliver(jobId, delivery)
    })
    await jobs.at(untilSec)
    const late = asSeller.deliver(jobId, jobs.struct(delivery), { gasLimit: 2_000_000n })
    await revertsWith(late, escrow, 'WindowClosed', [jobId, untilSec])
  })

  it('error: while somebody cheaper may still come', async () => {
    const jobId = await jobs.open()
    await jobs.bid(jobId, seller)
    const delivery = await good(jobId)
    const { bidsUntilSec } = await escrow.jobOf(jobId)
    await revertsWith(deliver(jobId, delivery), escrow, 'BidWindowOpen', [jobId, bidsUntilSec])
    await revertsWith(asSeller.giveUp(jobId), escrow, 'BidWindowOpen', [jobId, bidsUntilSec])
    await jobs.afterBids(jobId)
    await deliver(jobId, delivery)
  })

  it('error: by anybody but who is assigned, or in another state', async () => {
    const open = await jobs.open()
    const early = await good(open)
    await revertsWith(deliver(open, early), escrow, 'WrongState', [open, JOB_STATE.Open])
    const jobId = await firm()
    const delivery = await good(jobId)
    const byRival = escrow.connect(rival).deliver(jobId, jobs.struct(delivery))
    await revertsWith(byRival, escrow, 'NotProvider', [jobId, rival.address])
    await deliver(jobId, delivery)
    await revertsWith(deliver(jobId, delivery), escrow, 'WrongState', [jobId, JOB_STATE.Delivered])
  })

  it('error: an output that is submitted only, or not at all; once it is sealed it counts', async () => {
    const jobId = await firm()
    const output = await jobs.outputFor(jobId, seller.address)
    const unsealed = await jobs.store(output, { isSealed: false })
    await revertsWith(deliver(jobId, unsealed), escrow, 'OutputNotSealed', [unsealed.txSeq, 1n])
    const nowhere = { ...unsealed, txSeq: 10_000n }
    await revertsWith(deliver(jobId, nowhere), escrow, 'OutputNotSealed', [10_000n, 0n])
    assert.equal(await stateOf(jobId), JOB_STATE.Assigned)
    await deliver(jobId, await jobs.store(output))
  })

  it('error: a submission that was refunded, or whose deal has ended', async () => {
    const jobId = await firm()
    const output = await jobs.outputFor(jobId, seller.address)
    const unsealed = await jobs.store(output, { isSealed: false })
    await jobs.chain.mineTo((await market.sealDeadline(unsealed.txSeq)) + 1n)
    await market.refund(unsealed.txSeq)
    await revertsWith(deliver(jobId, unsealed), escrow, 'OutputNotSealed', [unsealed.txSeq, 4n])

    const short = await jobs.store(output, { termPeriods: 5n })
    const endPeriod = await market.endPeriodOf(short.txSeq)
    const { startBlock, periodBlocks } = jobs.clock
    // The last period in which three whole ones follow, and the one after.
    await jobs.chain.mineTo(startBlock + (endPeriod - 3n) * periodBlocks - 2n)
    assert.equal(await currentPeriod(jobs), endPeriod - 4n)
    await jobs.chain.rolledBack(() => deliver(jobId, short))
    await jobs.chain.mineTo(startBlock + (endPeriod - 3n) * periodBlocks)
    const needed = [short.txSeq, endPeriod, endPeriod + 1n]
    await revertsWith(deliver(jobId, short), escrow, 'OutputStoredTooShort', needed)
    await jobs.chain.mineTo(startBlock + (endPeriod + 1n) * periodBlocks)
    await revertsWith(deliver(jobId, short), escrow, 'OutputStoredTooShort')
    await market.end(short.txSeq)
    await revertsWith(deliver(jobId, short), escrow, 'OutputNotSealed', [short.txSeq, 3n])
  })

  it('error: length or nodes that are not the submission’s', async () => {
    const jobId = await firm()
    const delivery = await good(jobId)
    const longer = { ...delivery, byteLength: delivery.byteLength + 1 }
    await revertsWith(deliver(jobId, longer), escrow, 'OutputMismatch')
    await revertsWith(deliver(jobId, { ...delivery, nodes: [] }), escrow, 'OutputMismatch')
    const nodes = delivery.nodes.map((node) => ({ ...node, root: id('other') }))
    await revertsWith(deliver(jobId, { ...delivery, nodes }), escrow, 'OutputMismatch')
    // The proof of one file does not serve another.
    const other = await good(await firm())
    await revertsWith(deliver(jobId, { ...delivery, txSeq: other.txSeq }), escrow, 'OutputMismatch')
  })

  it('error: a header that is not the first sector of the file', async () => {
    const jobId = await firm()
    const delivery = await good(jobId)
    const refused = (changed: Partial<JobDelivery>, error = 'HeaderNotOfOutput', args = [delivery.txSeq]) =>
      revertsWith(deliver(jobId, { ...delivery, ...changed }), escrow, error, args)
    await refused({ header: `0x${'00'.repeat(JOB_HEADER_BYTES)}` })
    await refused({ path: delivery.path.slice(1) })
    await refused({ path: [...delivery.path, ZeroHash] })
    await refused({ path: delivery.path.map(() => ZeroHash) })
    await refused({ header: delivery.header.slice(0, -2) }, 'NotASector', [255n])
    await refused({ header: '0x' }, 'NotASector', [0n])
  })

  it('error: a malformed header, word by word: the output of another job, model, input or kind', async () => {
    const jobId = await firm()
    const output = await jobs.outputFor(jobId, seller.address)
    const other = await jobs.headerFor(jobId + 1n, seller.address)
    const words: [number, string][] = [
      [0, id('another magic')],
      [1, other.key],
      [2, id('another model')],
      [3, id('another input')],
      [4, id('another kind')],
      [6, `0x${'00'.repeat(31)}07`],
    ]
    for (const [index, value] of words) {
      const delivery = await jobs.store(withWord(output, index, value))
      const wanted = `0x${Buffer.from(output.subarray(32 * index, 32 * index + 32)).toString('hex')}`
      await revertsWith(deliver(jobId, delivery), escrow, 'HeaderMalformed', [BigInt(index), wanted, value])
    }
    assert.equal(await stateOf(jobId), JOB_STATE.Assigned)
  })

  it('error: the output of somebody else, or of an earlier job: no output counts twice', async () => {
    const jobId = await firm()
    const theirs = await jobs.store(await jobs.outputFor(jobId, rival.address))
    await revertsWith(deliver(jobId, theirs), escrow, 'HeaderMalformed')
    const delivery = await good(jobId)
    await deliver(jobId, delivery)
    await revertsWith(deliver(await firm(), delivery), escrow, 'HeaderMalformed')
  })

  it('error: units or length outside the terms; at the bounds it counts', async () => {
    const jobId = await firm()
    const withUnits = async (units: bigint) =>
      jobs.store(await jobs.outputFor(jobId, seller.address, 10, { units }))
    for (const units of [9n, 500_001n, 2n ** 255n]) {
      const refused = deliver(jobId, await withUnits(units))
      await revertsWith(refused, escrow, 'UnitsOutOfRange', [units, 10n, 500_000n])
    }
    await jobs.chain.rolledBack(async () => deliver(jobId, await withUnits(10n)))
    await deliver(jobId, await withUnits(500_000n))

    const short = await firm({ maxOutputBytes: 1_000n })
    await revertsWith(deliver(short, await good(short, 745)), escrow, 'OutputTooLong', [1_001n, 1_000n])
    await deliver(short, await good(short, 744))
  })

  it('error: a header without a body', async () => {
    const jobId = await firm()
    const output = await jobs.outputFor(jobId, seller.address, 1)
    const bare = withWord(output, 6, ZeroHash).slice(0, JOB_HEADER_BYTES)
    await revertsWith(deliver(jobId, await jobs.store(bare)), escrow, 'OutputTooShort', [256n, 256n])
  })

  it('behavior: a manifest at fault is no delivery: at the deadline the bond is the client’s', async () => {
    const jobId = await firm()
    const output = await jobs.outputFor(jobId, seller.address)
    const malformed = await jobs.store(withWord(output, 3, id('another input')))
    await revertsWith(deliver(jobId, malformed), escrow, 'HeaderMalformed')
    const [before = 0n] = await jobs.creditsOf(client)
    await jobs.at((await escrow.jobOf(jobId)).untilSec)
    await escrow.connect(stranger).close(jobId)
    assert.deepEqual(await jobs.creditsOf(client, seller), [before + 3_000_001n + 2n * BOND_WEI, 0n])
  })
})
