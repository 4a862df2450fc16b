import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { parseEther, ZeroAddress } from 'ethers'
import { openJobCall } from '../../../sdk/chain/job-calls.ts'
import { readJobBond, readJobCount } from '../../../sdk/chain/jobs.ts'
import { jobKind } from '../../../sdk/protocol/job-output.ts'
import { modelHash } from '../../../sdk/protocol/receipt.ts'
import { at } from '../../support/content.ts'
import { until } from '../../support/until.ts'
import { type CliRun, runZerog } from '../../support/zerog-cli.ts'
import {
  askOk,
  BLOCK_MS,
  CHAT,
  chainEnv,
  chat,
  DIGITS,
  digits,
  digitsRoot,
  folder,
  MINUTE_MS,
  readDigits,
  user,
  world,
  zerog,
  zerogOk,
} from './world.ts'

describe('zerog compute job', () => {
  type Job = { jobId: string; state: string; client: string; terms: { maxPriceWei: string } }
  let jobId: string

  before(async () => {
    const { chain } = world
    const maxPriceWei = parseEther('1')
    const [bondWei, block] = await Promise.all([
      readJobBond(chain, maxPriceWei),
      world.rpc.getBlock('latest'),
    ])
    const root = `0x${'12'.repeat(32)}`
    const terms = {
      ...{ provider: chat.wallet.address, arbiter: ZeroAddress, maxPriceWei, params: '0x' },
      ...{ modelHash: modelHash(CHAT), modelRoot: root, inputRoot: root, kind: jobKind('batch-inference') },
      ...{ verificationMode: 0n, bidWindowSec: 0n, deadlineSec: BigInt(block?.timestamp ?? 0) + 3000n },
      ...{ inputUnits: 10n, minUnits: 0n, maxUnits: 100n, maxOutputBytes: 10_000n, minStoragePeriods: 8n },
    }
    await world.send(user, openJobCall(chain, { terms, bondWei }))
    jobId = String(await readJobCount(chain))
  })

  it('status: of one, and of mine', async () => {
    const job = await zerogOk<Job>(['compute', 'job', 'status', jobId])
    assert.deepEqual(
      [job.state, job.client, job.terms.maxPriceWei],
      ['open', user.address, String(parseEther('1'))],
    )
    const { jobs } = await zerogOk<{ jobs: Job[] }>(['compute', 'job', 'status'])
    assert.deepEqual(
      jobs.map((one) => one.jobId),
      [jobId],
    )
    const words = await runZerog(['compute', 'job', 'status', jobId], { cwd: folder, env: chainEnv() })
    assert.match(words.stdout, new RegExp(`^job +${jobId}, OPEN\\n`))
    assert.deepEqual(
      (await askOk<{ jobs: Job[] }>(['compute', 'job', 'status'])).jobs,
      [],
      "others' are not mine",
    )
  })

  const LINE = '{"custom_id":"a","url":"/v1/chat/completions","body":{}}'
  const refusals: [name: string, args: () => string[], code: string, exit: number, content?: string][] = [
    ['wait: unknown', () => ['wait', '999'], 'JOB_UNKNOWN', 66],
    ['accept: not delivered', () => ['accept', jobId], 'TX_REVERTED', 65],
    ['submit: not JSON', () => ['submit', 'torn.jsonl', '--model', CHAT], 'BAD_REQUEST', 64, `${LINE}\n{`],
    ['submit: no price', () => ['submit', 'one.jsonl', '--model', CHAT], 'BAD_REQUEST', 64, LINE],
  ]
  describe('refused', { concurrency: 2 }, () => {
    for (const [name, args, code, exit, content] of refusals) {
      it(`error: ${name}`, async () => {
        if (content !== undefined) writeFileSync(join(folder, at(args(), 1)), content)
        const run = await zerog(['compute', 'job', ...args()])
        assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
      })
    }
  })

  it('submit and wait: requests are answered, verified and paid', { timeout: 6 * MINUTE_MS }, async () => {
    const held = readDigits()
    const requests = [0, 1, 2].map((i) => ({
      ...{ custom_id: `digit-${i}`, method: 'POST', url: '/v1/infer' },
      body: { inputs: { pixel_values: { dims: [1, 1, 8, 8], data: at(held.images, i).map((v) => v / 16) } } },
    }))
    writeFileSync(join(folder, 'digits.jsonl'), requests.map((one) => `${JSON.stringify(one)}\n`).join(''))
    const submit = ['compute', 'job', 'submit', 'digits.jsonl', '--model', DIGITS]
    const wish = [...submit, '--provider', digits.wallet.address, '--max-units', '3']
    type Submitted = { jobId: string; resumed: boolean; terms: { modelRoot: string; maxPriceWei: string } }
    const first = await zerogOk<Submitted>(wish)
    assert.deepEqual([first.resumed, first.terms.modelRoot], [false, digitsRoot])
    assert.equal(first.terms.maxPriceWei, String(3 * 1000 + 3 * 3000))
    const again = await zerogOk<Submitted>(wish)
    assert.deepEqual([again.jobId, again.resumed], [first.jobId, true])

    const wait = ['compute', 'job', 'wait', first.jobId, '--output', 'answers.jsonl', '--lines', '3']
    let run: CliRun | undefined
    const waiting = zerog(wait).then((done) => {
      run = done
    })
    let minedMs = 0
    // Blocks come while agents act, not so fast that the deadline of an upload passes.
    await until(
      'the job is over',
      async () => {
        if (performance.now() - minedMs > BLOCK_MS) {
          minedMs = performance.now()
          await world.anvil.mine(1)
        }
        return run
      },
      5 * MINUTE_MS,
    )
    await waiting
    assert.equal(run?.code, 0, run?.stderr)
    const done = run.json<{ provider: string; priceWei: string; failed: number }>()
    assert.deepEqual([done.provider, done.failed], [digits.wallet.address, 0])
    type Line = { custom_id: string; response: { body: { outputs: Record<string, { data: number[] }> } } }
    const lines = readFileSync(join(folder, 'answers.jsonl'), 'utf8').trim().split('\n')
    const digitsOf = lines.map((line) => {
      const { response } = JSON.parse(line) as Line
      const { data } = at(Object.values(response.body.outputs), 0)
      return data.indexOf(Math.max(...data))
    })
    assert.deepEqual(digitsOf, held.labels.slice(0, 3))
    assert.equal((await zerog(wait)).errorCode(), 'FILE_EXISTS')
  })

  it('cancel and withdraw: price and bond are back', async () => {
    await zerogOk(['compute', 'job', 'cancel', jobId])
    const { creditWei, jobs } = await zerogOk<{ creditWei: string; jobs: Job[] }>([
      'compute',
      'job',
      'status',
    ])
    assert.equal(jobs.find((job) => job.jobId === jobId)?.state, 'refunded')
    assert.ok(BigInt(creditWei) > parseEther('1'))
    const before = await world.rpc.getBalance(user.address)
    await zerogOk(['compute', 'job', 'withdraw'])
    assert.ok((await world.rpc.getBalance(user.address)) > before + parseEther('0.9'))
  })
})
