import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { id, ZeroAddress, ZeroHash } from 'ethers'
import type { AddressBook } from '../../../sdk/chain/address-book.ts'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import type { ComputeChain } from '../../../sdk/chain/compute-chain.ts'
import {
  acceptJobCall,
  answerDisputeCall,
  bidCall,
  cancelJobCall,
  closeJobCall,
  deliverJobCall,
  disputeJobCall,
  giveUpJobCall,
  openJobCall,
  ruleJobCall,
  withdrawJobCreditCall,
} from '../../../sdk/chain/job-calls.ts'
import { decodeJobEvent, JOB_EVENTS, jobEventFilter } from '../../../sdk/chain/job-events.ts'
import {
  JOB_OUTCOMES,
  JOB_STATES,
  readBid,
  readJob,
  readJobBond,
  readJobCount,
  readJobCredit,
  readJobParams,
} from '../../../sdk/chain/jobs.ts'
import { IJobEscrow__factory } from '../../../typechain-types/index.js'
import type { TestSigner } from '../../support/chain.ts'
import { BOND_WEI, createJobs, JOB_OUTCOME, JOB_PARAMS, JOB_STATE } from '../../support/job-fixture.ts'

const jobs = await createJobs()
const { client, arbiter, stranger } = jobs
const seller = await jobs.newSeller(14)
const contract = IJobEscrow__factory.connect(jobs.escrowAddress, jobs.chain.ethers.provider)
// Only what the functions under test look at.
const chain = { compute: { jobs: contract } } as unknown as ComputeChain
const book = { contracts: { JobEscrow: { address: jobs.escrowAddress, block: 0 } } } as unknown as AddressBook

async function send(from: TestSigner, { to, data, valueWei }: ChainCall) {
  const receipt = await (await from.sendTransaction({ to, data, value: valueWei })).wait()
  assert.ok(receipt)
  return receipt.logs.map((log) => decodeJobEvent(book, log)).filter((event) => event !== undefined)
}

describe('jobs of the escrow', () => {
  it('default: opened, bid on, delivered, disputed, ruled and withdrawn by calls; read and told by events', async () => {
    const terms = await jobs.termsFor({ bidWindowSec: 0n, provider: seller.address })
    const bondWei = await readJobBond(chain, terms.maxPriceWei)
    assert.equal(bondWei, BOND_WEI)
    const [opened] = await send(client, openJobCall(chain, { terms, bondWei }))
    assert.equal(opened?.name, 'JobOpened')
    const jobId = await readJobCount(chain)
    assert.deepEqual([opened.args.jobId, opened.args.terms], [jobId, terms])

    const open = await readJob(chain, jobId)
    assert.ok(open)
    assert.deepEqual([open.state, open.terms, open.arbiter], ['open', terms, arbiter.address])
    const offer = await readBid(chain, { jobId, provider: seller.address })
    assert.deepEqual(offer, { priceWei: 1_700_000n, bondWei })
    const [assigned] = await send(seller, bidCall(chain, { jobId, termsHash: open.termsHash, bondWei }))
    assert.deepEqual([assigned?.name, assigned?.args.provider], ['JobAssigned', seller.address])

    const { root, ...delivery } = await jobs.store(await jobs.outputFor(jobId, seller.address))
    const [delivered] = await send(seller, deliverJobCall(chain, { jobId, delivery }))
    assert.equal(delivered?.name, 'JobDelivered')
    assert.deepEqual([delivered.args.outputRoot, delivered.args.txSeq], [root, delivery.txSeq])
    const [disputed] = await send(client, disputeJobCall(chain, { jobId, evidenceRoot: id('evidence') }))
    assert.equal(disputed?.name, 'JobDisputed')
    const [answered] = await send(seller, answerDisputeCall(chain, { jobId, evidenceRoot: id('answer') }))
    assert.deepEqual([answered?.name, answered?.args.jobId], ['DisputeAnswered', jobId])
    const disputedJob = await readJob(chain, jobId)
    assert.equal(disputedJob?.state, 'disputed')
    assert.deepEqual(
      [disputedJob.provider, disputedJob.outputRoot, disputedJob.outputUnits, disputedJob.untilSec],
      [seller.address, root, 1_000n, disputed.args.ruleUntilSec],
    )
    const [closed] = await send(arbiter, ruleJobCall(chain, { jobId, forProvider: true }))
    assert.equal(closed?.name, 'JobClosed')
    assert.equal(JOB_OUTCOMES[Number(closed.args.outcome)], 'for-provider')
    assert.equal((await readJob(chain, jobId))?.state, 'settled')
    const creditWei = await readJobCredit(chain, seller.address)
    assert.equal(creditWei, closed.args.providerWei)
    await send(seller, withdrawJobCreditCall(chain, seller.address))
    assert.equal(await readJobCredit(chain, seller.address), 0n)
  })

  it('behavior: accept, cancel, give up and close end jobs', async () => {
    const { jobId, delivery } = await jobs.openDelivered(seller)
    const outcomes: string[] = []
    const endsBy = async (from: TestSigner, call: ChainCall) => {
      const [closed] = await send(from, call)
      assert.equal(closed?.name, 'JobClosed')
      outcomes.push(JOB_OUTCOMES[Number(closed.args.outcome)] ?? '')
    }
    await endsBy(client, acceptJobCall(chain, { jobId, outputRoot: delivery.root }))
    await endsBy(client, cancelJobCall(chain, await jobs.open()))
    await endsBy(seller, giveUpJobCall(chain, await jobs.openFirm(seller)))
    const silent = await jobs.openFirm(seller)
    await jobs.at((await contract.jobOf(silent)).untilSec)
    await endsBy(stranger, closeJobCall(chain, silent))
    assert.deepEqual(outcomes, ['accepted', 'cancelled', 'late', 'late'])
  })

  it('behavior: a refused bid has the contract’s reason', async () => {
    const jobId = await jobs.open({ modelHash: id('chat') })
    const refusedTo = (provider: string, id = jobId) => readBid(chain, { jobId: id, provider })
    assert.deepEqual(await refusedTo(seller.address), { refused: 'WrongModel' })
    assert.deepEqual(await refusedTo(stranger.address), { refused: 'NotListed' })
    assert.deepEqual(await refusedTo(client.address), { refused: 'SameParty' })
    assert.deepEqual(await refusedTo(seller.address, 999n), { refused: 'WrongState' })
    const named = await jobs.open({ provider: seller.address, bidWindowSec: 0n })
    assert.deepEqual(await refusedTo(stranger.address, named), { refused: 'NotNamed' })
    await jobs.bid(named, seller)
    assert.deepEqual(await refusedTo(stranger.address, named), { refused: 'BidWindowClosed' })
    const dear = await jobs.open({ maxPriceWei: 1_699_999n })
    assert.deepEqual(await refusedTo(seller.address, dear), { refused: 'PriceTooHigh' })
    const late = await jobs.open()
    await jobs.at((await contract.jobOf(late)).untilSec)
    await jobs.chain.provider.request({ method: 'evm_mine', params: [] })
    assert.deepEqual(await refusedTo(seller.address, late), { refused: 'WindowClosed' })
  })

  it('default: parameters; a job that is not there', async () => {
    const expected = { ...JOB_PARAMS, defaultArbiter: arbiter.address }
    assert.deepEqual(await readJobParams(chain), expected)
    assert.equal(await readJob(chain, 10_000n), undefined)
  })

  it('behavior: names of states and outcomes stand in the order of the contract', () => {
    const asWord = (name: string) => name.replace(/(?<=[a-z])([A-Z])/g, '-$1').toLowerCase()
    for (const [name, index] of Object.entries(JOB_STATE))
      assert.equal(JOB_STATES[Number(index)], asWord(name))
    for (const [name, index] of Object.entries(JOB_OUTCOME))
      assert.equal(JOB_OUTCOMES[Number(index)], asWord(name))
  })

  it('behavior: a filter finds events of the escrow; foreign logs are none', async () => {
    const filter = jobEventFilter(book, JOB_EVENTS.JobEscrow)
    const logs = await jobs.chain.ethers.provider.getLogs({ ...filter, fromBlock: 0 })
    const names = new Set(logs.map((log) => decodeJobEvent(book, log)?.name))
    assert.deepEqual([...names].sort(), [...JOB_EVENTS.JobEscrow].filter((n) => n !== 'JobOutbid').sort())
    const foreign = { address: ZeroAddress, topics: [ZeroHash], data: '0x' }
    assert.equal(decodeJobEvent(book, foreign), undefined)
  })
})
