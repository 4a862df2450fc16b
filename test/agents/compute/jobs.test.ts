import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseEther, type Wallet, ZeroAddress } from 'ethers'
import { decodeStorageEvent } from '../../../sdk/chain/events.ts'
import { bidCall, openJobCall, ruleJobCall } from '../../../sdk/chain/job-calls.ts'
import { decodeJobEvent } from '../../../sdk/chain/job-events.ts'
import {
  type JobTerms,
  type JobView,
  readJob,
  readJobBond,
  readJobCount,
  readJobParams,
} from '../../../sdk/chain/jobs.ts'
import { downloadFile } from '../../../sdk/client/download.ts'
import { memorySink } from '../../../sdk/client/file-sink.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { uploadFile } from '../../../sdk/client/upload.ts'
import {
  BATCH_INFERENCE,
  formatJobInput,
  type JobRequest,
  parseJobOutput,
} from '../../../sdk/protocol/job-input.ts'
import { jobKind, jobOutputKey, unwrapJobOutput } from '../../../sdk/protocol/job-output.ts'
import { formatManifest } from '../../../sdk/protocol/model-manifest.ts'
import { modelHash } from '../../../sdk/protocol/receipt.ts'
import { type StorageNetwork, startStorageNetwork } from '../../sdk/client/storage-network.ts'
import type { RunningProcess } from '../../support/processes.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { runZerog } from '../../support/zerog-cli.ts'
import { type ComputeWorld, modelDir, startComputeWorld, type WorldProvider } from './compute-world.ts'

const DIGITS = 'zerog/digits'
const CHAT = 'zerog/chat-mini'
const LONG_MS = 240_000
const BLOCK_MS = 750
/** Providers of a file at the default parity: no fewer can hold it. */
const STORAGE_NODES = 6
/** Behind those of storage. */
const FIRST_INDEX = 6
const CLIENT = 18
const heldout = JSON.parse(readFileSync(join(modelDir('digits'), 'heldout.json'), 'utf8')) as {
  maxPixel: number
  images: number[][]
  labels: number[]
}

describe('the job duty', () => {
  let network: StorageNetwork
  let world: ComputeWorld

  before(async () => {
    network = await startStorageNetwork({ providers: STORAGE_NODES })
    world = await startComputeWorld(network)
  })
  after(() => world.stop())

  const store = async (bytes: Uint8Array) =>
    (await uploadFile({ chain: network.chain, source: bytesSource(bytes) })).root
  const storeText = (text: string) => store(new TextEncoder().encode(text))

  async function storeModel(name: string, paths: readonly string[]): Promise<string> {
    const files = []
    for (const path of paths) {
      const bytes = readFileSync(join(modelDir(name), path))
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      files.push({ path, root: await store(bytes), bytes: bytes.length, sha256 })
    }
    return storeText(formatManifest(files))
  }

  async function openJob(client: Wallet, terms: Partial<JobTerms>): Promise<bigint> {
    const block = await network.rpc.getBlock('latest')
    const whole: JobTerms = {
      ...{ provider: ZeroAddress, arbiter: ZeroAddress, maxPriceWei: parseEther('0.01'), params: '0x' },
      ...{ modelHash: modelHash(DIGITS), modelRoot: '', inputRoot: '', kind: jobKind(BATCH_INFERENCE) },
      ...{ verificationMode: 0n, bidWindowSec: 0n, deadlineSec: BigInt(block?.timestamp ?? 0) + 3600n },
      ...{
        inputUnits: 1000n,
        minUnits: 0n,
        maxUnits: 1000n,
        maxOutputBytes: 1n << 20n,
        minStoragePeriods: 4n,
      },
      ...terms,
    }
    const bondWei = await readJobBond(world.chain, whole.maxPriceWei)
    await world.send(client, openJobCall(world.chain, { terms: whole, bondWei }))
    return readJobCount(world.chain)
  }

  /** Blocks come while agents act, as on a live chain; not so fast that an upload's deadline passes during a restart. */
  const mineUntil = <T>(what: string, check: () => Promise<T>) => {
    let minedMs = 0
    return until(
      what,
      async () => {
        const value = await check()
        if (value !== undefined && value !== false) return value
        if (performance.now() - minedMs < BLOCK_MS) return false
        minedMs = performance.now()
        await network.anvil.mine(1)
        return false
      },
      LONG_MS,
    ) as Promise<Exclude<T, undefined | false>>
  }
  const jobIn = (jobId: bigint, state: JobView['state']) =>
    mineUntil(`job ${jobId} is ${state}`, async () => {
      const job = await readJob(world.chain, jobId)
      return job?.state === state ? job : undefined
    })

  async function outputOf(job: JobView) {
    const sink = memorySink()
    await downloadFile({ chain: network.chain, root: job.outputRoot, sink })
    const { inputRoot, kind, modelRoot } = job.terms
    const escrow = world.chain.compute.addresses.JobEscrow
    const key = jobOutputKey({ chainId: 31_337n, escrow, jobId: job.jobId, provider: job.provider })
    const { header, body } = unwrapJobOutput(sink.bytes(), { key, inputRoot, kind, modelRoot })
    return { header, answers: parseJobOutput(new TextDecoder().decode(body)) }
  }

  it('behavior: an agent that is killed at every step does the job once, stores once and is paid once', async () => {
    const provider = await world.addProvider(FIRST_INDEX, {
      ...{ MODEL_ID: DIGITS, MODEL_ROOT: await storeModel('digits', ['config.json', 'onnx/model.onnx']) },
      ...{ MAX_SEQUENCES: '8', MIN_WITHDRAW_WEI: String(parseEther('1000')) },
    })
    await (await listed(provider)).stop()
    const pixels = (image: readonly number[]) => image.map((value) => value / heldout.maxPixel)
    const requests = heldout.images.slice(0, 20).map(
      (image, i): JobRequest => ({
        ...{ customId: `digit-${i}`, url: '/v1/infer' },
        body: { inputs: { pixel_values: { dims: [1, 1, 8, 8], data: pixels(image) } } },
      }),
    )
    const wrong = {
      customId: 'wrong',
      url: '/v1/infer',
      body: { inputs: { pixel_values: { dims: [1], data: [1] } } },
    }
    const chat = {
      customId: 'chat',
      url: '/v1/chat/completions',
      body: { messages: [{ role: 'user', content: 'Hi' }] },
    }
    const input = `${formatJobInput([...requests, wrong as JobRequest, chat as JobRequest])}{"custom_id"\n`
    const client = world.account(CLIENT)
    const jobId = await openJob(client, {
      ...{
        provider: provider.wallet.address,
        modelRoot: rootOf(provider),
        inputRoot: await storeText(input),
      },
      ...{ minUnits: 20n, inputUnits: 20n, maxUnits: 20n },
    })

    // One that can only be late: its input is lost.
    const lateId = await openJob(client, { modelRoot: rootOf(provider), inputRoot: `0x${'5e'.repeat(32)}` })
    const { termsHash = '', bondWei: lateBondWei = 0n } = (await readJob(world.chain, lateId)) ?? {}
    await world.send(
      provider.wallet,
      bidCall(world.chain, { jobId: lateId, termsHash, bondWei: lateBondWei }),
    )

    for (const point of [
      'job-bid',
      'job-batch',
      'job-produced',
      'sender-after-write',
      'job-sealed',
      'job-stored',
      'job-delivered',
    ])
      await killedAt(provider, point)
    await provider.spawn()
    const delivered = await jobIn(jobId, 'delivered')
    const { header, answers } = await outputOf(delivered)
    assert.equal(header.units, 20n)
    assert.equal(answers.length, 23)
    const right = answers.slice(0, 20).filter((answer, i) => {
      assert.equal(answer.customId, `digit-${i}`)
      assert.ok(answer.result.ok, JSON.stringify(answer))
      const { outputs } = answer.result.body as { outputs: { logits: { data: number[] } } }
      const { data } = outputs.logits
      return data.indexOf(Math.max(...data)) === heldout.labels[i]
    })
    assert.ok(right.length >= 18, `${right.length} of 20`)
    assert.deepEqual(
      answers.slice(20).map(({ customId, result }) => [customId, result.ok ? '' : result.code]),
      [
        ['wrong', 'COMPUTE_INPUT_INVALID'],
        ['chat', 'COMPUTE_MODEL_UNKNOWN'],
        [null, 'BAD_REQUEST'],
      ],
    )

    await world.elapse(3601n)
    const closed = await jobIn(jobId, 'settled')
    await jobIn(lateId, 'timed-out')
    const { bondWei, priceWei } = closed
    assert.equal(priceWei, 20n * 1000n + 20n * 3000n)
    assert.equal(await world.chain.compute.jobs.creditOf(provider.wallet), bondWei + priceWei)
    const own = provider.wallet.address
    const events = await jobEvents(jobId)
    assert.deepEqual(events, ['JobOpened', 'JobAssigned', 'JobDelivered', 'JobClosed'])
    assert.equal((await submissionsOf(own)).length, 1)
  })

  it('behavior: any job in reach of the price is bid on; units bound it; a dispute is answered and ruled', async () => {
    const files = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json']
    const provider = await world.addProvider(FIRST_INDEX + 1, {
      ...{ MODEL_ID: CHAT, MODEL_ROOT: await storeModel('chat', [...files, 'onnx/model_quantized.onnx']) },
      ...{ JOB_BIDS: 'any', INPUT_PRICE_WEI: '900', OUTPUT_PRICE_WEI: '2700', JOB_UNITS_PER_SEC: '1' },
    })
    await listed(provider)
    const ask = (customId: string, change: object = {}): JobRequest => ({
      ...{ customId, url: '/v1/chat/completions' },
      body: {
        messages: [{ role: 'user', content: 'Tell me a story about a fox.' }],
        max_tokens: 24,
        ...change,
      },
    })
    const requests = [
      ask('cold', { temperature: 0 }),
      ask('again', { temperature: 0 }),
      ask('seed', { seed: 7, temperature: 1 }),
      ask('same', { seed: 7, temperature: 1 }),
      ask('free', { temperature: 1.5 }),
      ask('short', { max_tokens: 50 }),
      ask('none'),
    ]
    const client = world.account(CLIENT + 1)
    const terms = {
      ...{ modelHash: modelHash(CHAT), modelRoot: rootOf(provider), bidWindowSec: 5n },
      ...{ inputRoot: await storeText(formatJobInput(requests)), maxUnits: 5n * 24n + 10n },
    }
    // As many as are worked on at a time, with an input that nobody has: they must not keep the others waiting.
    const lost = { ...terms, inputRoot: `0x${'5e'.repeat(32)}` }
    const lostIds = [await openJob(client, lost), await openJob(client, lost)]
    const strange = await openJob(client, { ...terms, arbiter: world.account(30).address })
    const dear = await openJob(client, { ...terms, inputUnits: 1n })
    // A bond of five coins for work worth a fraction of one: who is late there loses more than it could earn.
    const trap = await openJob(client, { ...terms, maxPriceWei: parseEther('50') })
    const latest = await network.rpc.getBlock('latest')
    const rushed = await openJob(client, { ...terms, deadlineSec: BigInt(latest?.timestamp ?? 0) + 180n })
    // Lines that cost nothing, and whose errors would be stored at our cost.
    const junk = 'x\n'.repeat(20_000)
    const bulky = await openJob(client, {
      ...{ ...terms, inputRoot: await storeText(junk), inputUnits: 1n, maxUnits: 0n },
      ...{ maxOutputBytes: 1n << 24n, minStoragePeriods: 1000n },
    })
    const jobId = await openJob(client, terms)
    await jobIn(jobId, 'assigned')
    await world.elapse(6n)
    const delivered = await jobIn(jobId, 'delivered')
    const { header, answers } = await outputOf(delivered)
    const texts = answers.map(({ result }) => {
      if (!result.ok) return result.code
      const { choices } = result.body as { choices: { message: { content: string } }[] }
      return choices[0]?.message.content ?? ''
    })
    assert.equal(texts[0], texts[1])
    assert.match(texts[0] ?? '', /fox/)
    assert.equal(texts[2], texts[3])
    assert.ok(texts.slice(0, 5).every((text) => text.length > 20))
    assert.equal(texts[6], 'COMPUTE_BALANCE_TOO_LOW')
    assert.ok(header.units > 5n * 24n && header.units <= terms.maxUnits)
    for (const other of [...lostIds, strange, dear, trap, rushed, bulky])
      assert.equal((await readJob(world.chain, other))?.state, 'open')

    const env = {
      ...{ RPC_URL: world.anvil.rpcUrl, ADDRESS_BOOK: world.bookFile },
      PRIVATE_KEY: client.privateKey,
    }
    const words = ['compute', 'job', 'dispute', String(jobId), '--evidence', terms.inputRoot, '--json']
    const disputed = await runZerog(words, { cwd: tempDir(), env })
    assert.deepEqual([disputed.code, disputed.json().done], [0, 'disputed'], disputed.stderr)
    await mineUntil('the dispute is answered', async () =>
      (await jobEvents(jobId)).includes('DisputeAnswered'),
    )
    const { defaultArbiter } = await readJobParams(world.chain)
    const arbiter = [...Array(20).keys()].map(world.account).find(({ address }) => address === defaultArbiter)
    assert.ok(arbiter)
    const before = await network.rpc.getBalance(provider.wallet)
    await world.send(arbiter, ruleJobCall(world.chain, { jobId, forProvider: true }))
    await mineUntil('pay and bonds are withdrawn', async () => {
      return (await network.rpc.getBalance(provider.wallet)) > before + delivered.bondWei
    })
    assert.equal(await world.chain.compute.jobs.creditOf(provider.wallet), 0n)
  })

  const roots = new Map<WorldProvider, string>()
  const rootOf = (provider: WorldProvider) => roots.get(provider) ?? ''

  /** Starts the agent and waits until its service is listed; jobs need that. */
  async function listed(provider: WorldProvider): Promise<RunningProcess> {
    const child = await provider.spawn()
    const status = (await (await fetch(`${provider.url}/status`)).json()) as {
      model: { manifestRoot: string }
    }
    roots.set(provider, status.model.manifestRoot)
    await mineUntil('the service is listed', provider.isListed)
    return child
  }

  /** Starts the agent so that it kills itself at a point, and waits until it has. */
  async function killedAt(provider: WorldProvider, point: string): Promise<void> {
    const doomed = provider.launch({ ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: point })
    let isOver = false
    const over = doomed.exited.then(({ signal }) => {
      isOver = true
      return signal
    })
    await mineUntil(`it is killed at ${point}`, async () => isOver)
    assert.equal(await over, 'SIGKILL', `${point}: ${doomed.output()}`)
  }

  async function jobEvents(jobId: bigint): Promise<string[]> {
    const logs = await network.rpc.getLogs({ fromBlock: 0, address: world.chain.compute.addresses.JobEscrow })
    return logs.flatMap((log) => {
      const event = decodeJobEvent(world.chain.book, log)
      return event?.args.jobId === jobId ? [event.name] : []
    })
  }

  async function submissionsOf(owner: string) {
    const logs = await network.rpc.getLogs({
      fromBlock: 0,
      address: world.chain.book.contracts.Flow?.address ?? '',
    })
    return logs.filter((log) => {
      const event = decodeStorageEvent(world.chain.book, log)
      return event?.name === 'Submit' && event.args.sender === owner
    })
  }
})
