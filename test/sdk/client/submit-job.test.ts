import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { BaseWallet } from 'ethers'
import { listServiceCall } from '../../../sdk/chain/compute-calls.ts'
import { type ComputeChain, connectCompute } from '../../../sdk/chain/compute-chain.ts'
import { bidCall, deliverJobCall, ruleJobCall } from '../../../sdk/chain/job-calls.ts'
import { readBid, readJob, readJobCount, readJobCredit, readJobParams } from '../../../sdk/chain/jobs.ts'
import { registerCall } from '../../../sdk/chain/operators.ts'
import { signerSender, type TxSender } from '../../../sdk/chain/send.ts'
import { allocateCall, stakeCall } from '../../../sdk/chain/staking.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import type { HttpTransport } from '../../../sdk/client/http.ts'
import { memoryStateStore } from '../../../sdk/client/state-store.ts'
import { submitJob } from '../../../sdk/client/submit-job.ts'
import { uploadFile } from '../../../sdk/client/upload.ts'
import { waitJob } from '../../../sdk/client/wait-job.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { formatJobAnswer, type JobRequest } from '../../../sdk/protocol/job-input.ts'
import { describeJobOutput, jobOutputKey, wrapJobOutput } from '../../../sdk/protocol/job-output.ts'
import { until } from '../../support/until.ts'
import { type StorageNetwork, startStorageNetwork } from './storage-network.ts'

const MODEL = 'test/rows'
const MODEL_ROOT = `0x${'5a'.repeat(32)}`
const STAKE_WEI = 200n * 10n ** 18n
const PRICE_WEI = 10n ** 12n

describe('submitJob and waitJob', () => {
  let network: StorageNetwork
  let chain: ComputeChain
  let client: BaseWallet
  let worker: BaseWallet

  before(async () => {
    network = await startStorageNetwork({ providers: 3 })
    client = network.account(3)
    worker = network.account(5)
    chain = await connectCompute(network.chain)
    const service = chain.compute.addresses.InferenceServing
    await network.send(worker, registerCall(chain, ''))
    await network.send(worker, stakeCall(chain, STAKE_WEI))
    await network.send(worker, allocateCall(chain, { amountWei: STAKE_WEI, service }))
    await network.send(
      worker,
      listServiceCall(chain, {
        ...{ serviceType: 'tensor', url: 'http://127.0.0.1:1', model: MODEL, verifiability: 'OpML' },
        ...{ inputPriceWei: PRICE_WEI, outputPriceWei: 2n * PRICE_WEI, signer: worker.address },
        additionalInfo: JSON.stringify({ manifestRoot: MODEL_ROOT }),
      }),
    )
  })
  after(() => network.stop())

  const rows = (name: string): JobRequest[] =>
    [0, 1].map((i) => ({
      customId: `${name}-${i}`,
      url: '/v1/infer',
      body: { model: MODEL, inputs: { x: { dims: [3, 1], data: [i, i, i] } } },
    }))
  const order = (name: string, change: Partial<submitJob.Options> = {}) => ({
    ...{ chain, requests: rows(name), model: MODEL, provider: worker.address, durationSec: 600n },
    stateStore: memoryStateStore(),
    ...change,
  })

  /** What an honest provider does, or one that stores another body. */
  async function work(jobId: bigint, requests: readonly JobRequest[], body?: string): Promise<void> {
    const job = await readJob(chain, jobId)
    const bid = await readBid(chain, { jobId, provider: worker.address })
    assert.ok(job !== undefined && 'bondWei' in bid)
    await network.send(worker, bidCall(chain, { jobId, termsHash: job.termsHash, bondWei: bid.bondWei }))
    const answers = requests.map(({ customId }, i) =>
      formatJobAnswer({ id: `line-${i}`, customId, result: { ok: true, body: { row: i } } }),
    )
    const { modelRoot, inputRoot, kind, maxUnits } = job.terms
    const escrow = chain.compute.addresses.JobEscrow
    const key = jobOutputKey({ chainId: chain.chainId, escrow, jobId, provider: worker.address })
    const output = wrapJobOutput(
      { key, modelRoot, inputRoot, kind, units: maxUnits },
      new TextEncoder().encode(body ?? answers.join('')),
    )
    const { txSeq } = await uploadFile({ chain: await network.chainOf(worker), source: bytesSource(output) })
    const described = describeJobOutput(await loadHasher(), output)
    await network.send(worker, deliverJobCall(chain, { jobId, delivery: { ...described, txSeq } }))
  }

  const balance = () => network.rpc.getBalance(client.address)
  const quick = { pollMs: 20 }

  it('default: a batch is stored, opened, awaited, checked and accepted, and the rest of the money comes back', async () => {
    const options = order('first')
    const jobs = await readJobCount(chain)
    const { jobId, terms, bondWei, resumed } = await submitJob(options)
    assert.equal(resumed, false)
    assert.equal(terms.maxPriceWei, 6n * PRICE_WEI + 6n * 2n * PRICE_WEI)
    assert.equal(terms.modelRoot, MODEL_ROOT)
    const again = await submitJob(options)
    assert.deepEqual([again.jobId, again.resumed], [jobId, true])
    assert.equal(await readJobCount(chain), jobs + 1n)

    const states: string[] = []
    const waiting = waitJob({ chain, jobId, lines: 2, ...quick, onState: (state) => void states.push(state) })
    await work(jobId, options.requests)
    const result = await waiting
    assert.deepEqual(
      result.answers.map(({ customId, result: { ok } }) => [customId, ok]),
      [
        ['first-0', true],
        ['first-1', true],
      ],
    )
    assert.equal(result.priceWei, terms.maxPriceWei)
    assert.equal(result.creditWei, bondWei)
    assert.equal(states.at(-1), 'settled')
    assert.equal(await readJobCredit(chain, worker.address), result.priceWei + bondWei)
    // What is over stays readable: the same call gives the same answers.
    const later = await waitJob({ chain, jobId, lines: 2 })
    assert.deepEqual([later.answers, later.creditWei], [result.answers, 0n])
  })

  it('behavior: killed before or after the sending, one job is opened and paid', async () => {
    const own = await signerSender(chain, client)
    for (const moment of ['before', 'after'] as const) {
      const options = order(`killed-${moment}`)
      const jobs = await readJobCount(chain)
      const killed: TxSender = {
        ...own,
        async submit(request) {
          if (!request.label.startsWith('open-job')) return own.submit(request)
          if (moment === 'after') await own.submit(request)
          throw new ZerogError('ABORTED', 'killed')
        },
      }
      await assert.rejects(submitJob({ ...options, sender: killed }), { code: 'ABORTED' })
      const before = await balance()
      const { resumed, terms, bondWei } = await submitJob(options)
      assert.equal(resumed, moment === 'after')
      assert.equal(await readJobCount(chain), jobs + 1n)
      const paidWei = before - (await balance())
      if (resumed) assert.equal(paidWei, 0n)
      else assert.ok(paidWei >= terms.maxPriceWei + bondWei)
    }
  })

  it('error: output that is not of the form, or that the client refuses, is disputed, and the arbiter decides', async () => {
    const arbiter = network.account(6)
    const malformed = order('malformed', { arbiter: arbiter.address })
    const first = await submitJob(malformed)
    await work(first.jobId, malformed.requests, 'no answers\n')
    await assert.rejects(waitJob({ chain, jobId: first.jobId, lines: 2, ...quick }), {
      code: 'JOB_OUTPUT_INVALID',
    })
    assert.equal((await readJob(chain, first.jobId))?.state, 'disputed')
    await network.send(arbiter, ruleJobCall(chain, { jobId: first.jobId, forProvider: false }))
    await assert.rejects(waitJob({ chain, jobId: first.jobId, ...quick }), (error: ZerogError) => {
      assert.equal(error.code, 'JOB_REFUNDED')
      assert.ok((error.meta.creditWei as bigint) > first.terms.maxPriceWei + first.bondWei)
      return true
    })

    const refused = order('refused', { arbiter: arbiter.address })
    const second = await submitJob(refused)
    await work(second.jobId, refused.requests)
    const wait = { chain, jobId: second.jobId, lines: 2, ...quick }
    await assert.rejects(waitJob({ ...wait, check: () => false }), { code: 'JOB_OUTPUT_INVALID' })
    await network.send(arbiter, ruleJobCall(chain, { jobId: second.jobId, forProvider: true }))
    assert.equal((await waitJob(wait)).answers.length, 2)
  })

  it('error: output that is sealed and not handed out is disputed before it is paid', async () => {
    const withheld = order('withheld', { arbiter: network.account(6).address })
    const { jobId } = await submitJob(withheld)
    await work(jobId, withheld.requests)
    const { challengeSec } = await readJobParams(chain)
    let asked = 0
    const transport: HttpTransport = async () => {
      asked++
      throw new TypeError('fetch failed')
    }
    const waiting = waitJob({ chain, jobId, lines: 2, transport, ...quick })
    waiting.catch(() => undefined)
    await until('the output was asked for', () => asked > 0)
    assert.equal((await readJob(chain, jobId))?.state, 'delivered')
    await network.anvil.rpc('evm_increaseTime', Number((challengeSec * 4n) / 5n))
    await network.anvil.mine(1)
    await assert.rejects(waiting, { code: 'JOB_OUTPUT_INVALID' })
    assert.equal((await readJob(chain, jobId))?.state, 'disputed')
  })

  it('error: jobs that nobody takes or ends are closed, and the money comes back', async () => {
    const untaken = await submitJob(order('untaken'))
    const taken = order('late')
    const late = await submitJob(taken)
    const job = await readJob(chain, late.jobId)
    const bid = await readBid(chain, { jobId: late.jobId, provider: worker.address })
    assert.ok(job !== undefined && 'bondWei' in bid)
    const { termsHash } = job
    await network.send(worker, bidCall(chain, { jobId: late.jobId, termsHash, bondWei: bid.bondWei }))
    await network.anvil.rpc('evm_increaseTime', 700)
    await network.anvil.mine(1)
    const ends = [
      { jobId: untaken.jobId, code: 'JOB_UNTAKEN', creditWei: untaken.terms.maxPriceWei + untaken.bondWei },
      { jobId: late.jobId, code: 'JOB_LATE', creditWei: late.terms.maxPriceWei + 2n * late.bondWei },
    ]
    for (const { jobId, code, creditWei } of ends)
      await assert.rejects(waitJob({ chain, jobId, ...quick }), (error: ZerogError) => {
        assert.deepEqual([error.code, error.meta.creditWei], [code, creditWei])
        return true
      })
    await assert.rejects(waitJob({ chain, jobId: 10_000n }), { code: 'JOB_UNKNOWN' })
    await assert.rejects(waitJob({ chain, jobId: late.jobId, signer: worker }), { code: 'FORBIDDEN' })
  })

  it('error: without a price, a model that is known, or requests', async () => {
    const { provider: _, ...anybody } = order('nobody')
    await assert.rejects(submitJob(anybody), { code: 'BAD_REQUEST' })
    await assert.rejects(submitJob({ ...anybody, maxPriceWei: PRICE_WEI }), { code: 'COMPUTE_MODEL_UNKNOWN' })
    await assert.rejects(submitJob({ ...order('none'), requests: [] }), { code: 'BAD_REQUEST' })
  })
})
