import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { parseEnv } from 'node:util'
import { parseEther, toQuantity, Wallet, ZeroAddress } from 'ethers'
import OpenAI from 'openai'
import { listServiceCall, removeServiceCall } from '../../sdk/chain/compute-calls.ts'
import { openJobCall } from '../../sdk/chain/job-calls.ts'
import { readJobBond, readJobCount } from '../../sdk/chain/jobs.ts'
import { depositFundCall, transferFundCall } from '../../sdk/chain/ledger.ts'
import { registerModelCall } from '../../sdk/chain/model-calls.ts'
import { OPEN_TERMS } from '../../sdk/chain/models.ts'
import { bytesSource } from '../../sdk/client/file-source.ts'
import { uploadFile } from '../../sdk/client/upload.ts'
import { jobKind } from '../../sdk/protocol/job-output.ts'
import { formatManifest } from '../../sdk/protocol/model-manifest.ts'
import { modelHash } from '../../sdk/protocol/receipt.ts'
import {
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from '../agents/compute/compute-world.ts'
import { type StorageNetwork, startStorageNetwork } from '../sdk/client/storage-network.ts'
import { at } from '../support/content.ts'
import { freePort, type RunningProcess } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'
import { type CliRun, type RunningCli, runZerog, startZerog } from '../support/zerog-cli.ts'

const MINUTE_MS = 60_000
const BLOCK_MS = 750
/** Providers of a file at the default parity: no fewer can hold it. */
const STORAGE_NODES = 6
const CHAT = 'zerog/chat-mini'
const DIGITS = 'zerog/digits'
const EMBED = 'zerog/embed-mini'

let network: StorageNetwork
let world: ComputeWorld
/** Manifest of the digits model in the storage of this world. */
let digitsRoot: string
let chat: WorldProvider
let digits: WorldProvider
let embed: WorldProvider
let folder: string
let user: Wallet
/** Has an account at the chat provider, and nothing else in compute. */
let asker: Wallet

before(
  async () => {
    folder = tempDir()
    network = await startStorageNetwork({ providers: STORAGE_NODES })
    world = await startComputeWorld(network)
    user = world.account(2)
    asker = world.account(5)
    digitsRoot = await storeModel('digits', ['config.json', 'onnx/model.onnx'])
    chat = await world.addProvider(6, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat') })
    digits = await world.addProvider(7, { MODEL_ID: DIGITS, MODEL_ROOT: digitsRoot })
    embed = await world.addProvider(8, { MODEL_ID: EMBED, MODEL_DIR: modelDir('embed') })
    const all = [chat, digits, embed]
    await Promise.all(all.map((provider) => provider.start()))
    await until('all services are listed', async () => {
      await world.anvil.mine(1)
      return (await Promise.all(all.map((provider) => provider.isListed()))).every(Boolean)
    })
    const amountWei = parseEther('0.5')
    await world.send(asker, depositFundCall(world.chain, amountWei))
    await world.send(asker, transferFundCall(world.chain, { provider: chat.wallet.address, amountWei }))
  },
  { timeout: 4 * MINUTE_MS },
)
after(() => world?.stop(), { timeout: MINUTE_MS })

/** Stores some files of a model and their manifest, whose root it gives. */
async function storeModel(name: string, paths: readonly string[]): Promise<string> {
  const store = async (bytes: Uint8Array) =>
    (await uploadFile({ chain: network.chain, source: bytesSource(bytes) })).root
  const files = []
  for (const path of paths) {
    const bytes = readFileSync(join(modelDir(name), path))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    files.push({ path, root: await store(bytes), bytes: bytes.length, sha256 })
  }
  return store(new TextEncoder().encode(formatManifest(files)))
}

const chainEnv = () => ({ RPC_URL: world.anvil.rpcUrl, ADDRESS_BOOK: world.bookFile })

/** Runs `zerog … --json` as the funded user in the test's folder. */
function zerog(args: readonly string[], change: Record<string, string> = {}): Promise<CliRun> {
  const env = { ...chainEnv(), PRIVATE_KEY: user.privateKey, ...change }
  return runZerog([...args, '--json'], { cwd: folder, env })
}

async function zerogOk<T>(args: readonly string[], change: Record<string, string> = {}): Promise<T> {
  const run = await zerog(args, change)
  assert.equal(run.code, 0, run.stderr)
  return run.json<T>()
}

describe('zerog compute services, fund, withdraw', () => {
  type Services = { services: { model: string; provider: string; serviceType: string }[] }
  type Funded = { depositWei: string; spendableWei: string; availableWei: string; sent: unknown[] }
  type Withdrawn = {
    paidWei: string
    availableWei: string
    released: { provider: string; amountWei: string }[]
    lockedWei: string
    locked: { provider: string; untilSec: string }[]
    transactions: string[]
  }
  const provider = () => chat.wallet.address

  it('services: all of them, or those of a model or kind', async () => {
    const all = await zerogOk<Services>(['compute', 'services'])
    assert.deepEqual(all.services.map(({ model }) => model).sort(), [CHAT, DIGITS, EMBED])
    const wish = ['compute', 'services', '--model', DIGITS, '--kind', 'tensor']
    const { services } = await zerogOk<Services>(wish)
    assert.deepEqual(
      services.map((service) => service.provider),
      [digits.wallet.address],
    )
    const words = await runZerog(['compute', 'services'], { cwd: folder, env: chainEnv() })
    assert.match(words.stdout, new RegExp(`${CHAT} +chatbot +1000 +3000 +${provider()}`))
  })

  it('fund: deposits what the ledger lacks, and no more', async () => {
    const poor = await zerog(['compute', 'fund', provider(), '0.0001'])
    assert.deepEqual([poor.code, poor.errorCode()], [64, 'BAD_REQUEST'], poor.stderr)
    const first = await zerogOk<Funded>(['compute', 'fund', provider(), '0.5'])
    assert.equal(first.depositWei, String(parseEther('0.5')))
    assert.deepEqual([first.spendableWei, first.availableWei], [String(parseEther('0.5')), '0'])
    assert.equal(first.sent.length, 2)
    const second = await zerogOk<Funded>(['compute', 'fund', digits.wallet.address, '0.001'])
    assert.equal(second.spendableWei, String(parseEther('0.001')))
    const shown = await zerogOk<{ ledger: { totalWei: string }; accounts: unknown[] }>(['compute', 'fund'])
    assert.deepEqual([shown.ledger.totalWei, shown.accounts.length], [String(parseEther('0.501')), 2])
  })

  it('withdraw: what the provider is not owed is paid at once', async () => {
    const amountWei = String(parseEther('0.001'))
    const paid = await zerogOk<Withdrawn>(['compute', 'withdraw', '--provider', digits.wallet.address])
    assert.deepEqual([paid.paidWei, paid.lockedWei], [amountWei, '0'])
    assert.deepEqual(
      [paid.released[0]?.provider, paid.released[0]?.amountWei],
      [digits.wallet.address, amountWei],
    )
  })

  it('withdraw: from one that has gone: says what is locked and until when, then pays all of it', async () => {
    await world.anvil.rpc('anvil_setBalance', world.account(21).address, toQuantity(parseEther('1000')))
    const gone = await world.addProvider(11, {})
    const texts = {
      serviceType: 'tensor',
      url: gone.url,
      model: 'zerog/gone',
      verifiability: '',
      additionalInfo: '',
    }
    const wish = { ...texts, inputPriceWei: 1n, outputPriceWei: 1n, signer: gone.wallet.address }
    await world.send(gone.wallet, listServiceCall(world.chain, wish))
    const amountWei = parseEther('0.001')
    await zerogOk<Funded>(['compute', 'fund', gone.wallet.address, '0.001'])
    await world.send(gone.wallet, removeServiceCall(world.chain))

    const withdraw = ['compute', 'withdraw', '--provider', gone.wallet.address]
    const balance = () => world.rpc.getBalance(user.address)
    const first = await zerogOk<Withdrawn>(withdraw)
    assert.deepEqual([first.paidWei, first.lockedWei, first.released], ['0', String(amountWei), []])
    const lock = at(first.locked, 0)
    assert.equal(lock.provider, gone.wallet.address)
    const now = (await world.rpc.getBlock('latest'))?.timestamp ?? 0
    assert.ok(Number(lock.untilSec) > now)
    const again = await zerogOk<Withdrawn>(withdraw)
    assert.deepEqual(again.transactions, [], 'what is locked is not asked again')

    await world.elapse(BigInt(lock.untilSec) - BigInt(now) + 1n)
    const before = await balance()
    const last = await zerogOk<Withdrawn>(withdraw)
    assert.deepEqual([last.paidWei, last.lockedWei], [String(amountWei), '0'])
    assert.ok((await balance()) > before)
  })

  const refusals: [name: string, args: () => string[], code: string, exit: number][] = [
    ['fund: who lists nothing', () => ['fund', Wallet.createRandom().address, '1'], 'NOT_FOUND', 66],
    ['withdraw: too much', () => ['withdraw', '--amount', '1000'], 'BAD_REQUEST', 64],
    ['doctor: no such model', () => ['doctor', '--model', 'nowhere'], 'FILE_MISSING', 66],
  ]
  describe('refused', { concurrency: 2 }, () => {
    for (const [name, args, code, exit] of refusals) {
      it(`error: ${name}`, async () => {
        const run = await zerog(['compute', ...args()])
        assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
      })
    }
  })

  it('error: without a key', async () => {
    const keyless = await zerog(['compute', 'fund', provider(), '1'], { PRIVATE_KEY: '' })
    assert.deepEqual([keyless.errorCode(), keyless.code], ['CONFIG_INVALID', 78], keyless.stderr)
  })

  it('doctor: finds and measures what the machine has', async () => {
    const found = await zerogOk<{ providers: { name: string; runMs?: number }[]; chosen: string }>([
      'compute',
      'doctor',
      '--model',
      modelDir('digits'),
    ])
    assert.ok(found.chosen)
    const cpu = found.providers.find(({ name }) => name === 'cpu')
    assert.ok((cpu?.runMs ?? 0) > 0)
  })
})

function readDigits(): { images: number[][]; labels: number[] } {
  return JSON.parse(readFileSync(join(modelDir('digits'), 'heldout.json'), 'utf8'))
}

type Answer = {
  verified: boolean
  provider: string
  feeWei: string
  usage: { inputUnits: number; outputUnits: number }
  failures: { provider: string; code: string }[]
}

const ask = (args: readonly string[]) => zerog(args, { PRIVATE_KEY: asker.privateKey })
const askOk = <T>(args: readonly string[]) => zerogOk<T>(args, { PRIVATE_KEY: asker.privateKey })

const feeOf = ({ usage }: Answer) => String(usage.inputUnits * 1000 + usage.outputUnits * 3000)

describe('zerog compute chat, embed, infer', () => {
  const STORY = ['compute', 'chat', 'Tell me a story about a fox.', '--temperature', '0']

  it('chat: verified, at the price of its tokens; commands of one account wait for each other', async () => {
    const env = { ...chainEnv(), PRIVATE_KEY: asker.privateKey }
    const [answer, words] = await Promise.all([
      askOk<Answer & { text: string; finish: string }>(STORY),
      runZerog(STORY, { cwd: folder, env }),
    ])
    assert.match(answer.text, /fox/)
    assert.deepEqual([answer.verified, answer.provider, answer.finish], [true, chat.wallet.address, 'stop'])
    assert.equal(answer.feeWei, feeOf(answer))
    assert.deepEqual([words.code, words.stdout], [0, `${answer.text}\n`], words.stderr)
    assert.match(words.stderr, new RegExp(`verified +${CHAT} by ${chat.wallet.address}\ncost +\\d+`))
  })

  it('embed: as many vectors as texts, from arguments or lines; a deposit only where it is allowed', async () => {
    const texts = ['a fox in the forest', 'a fox in the wood', 'the price of steel']
    const poor = await ask(['compute', 'embed', ...texts])
    assert.deepEqual([poor.errorCode(), poor.code], ['INSUFFICIENT_FUNDS', 77], poor.stderr)
    assert.match(poor.stderr, /--deposit/)
    const { vectors, verified } = await askOk<Answer & { vectors: number[][] }>([
      ...['compute', 'embed', ...texts, '--deposit', '0.1'],
    ])
    assert.equal(verified, true)
    const dot = (a: number, b: number) =>
      at(vectors, a).reduce((sum, value, i) => sum + value * (at(vectors, b)[i] ?? 0), 0)
    assert.ok(dot(0, 1) > dot(0, 2), 'what means the same is nearer')
  })

  it('infer: digits from a picture and from numbers', async () => {
    const held = readDigits()
    const image = at(held.images, 0)
    writeFileSync(join(folder, 'digit.pgm'), Buffer.concat([Buffer.from('P5 8 8 16\n'), Buffer.from(image)]))
    writeFileSync(
      join(folder, 'digits.json'),
      JSON.stringify([image, image].map((one) => one.map((v) => v / 16))),
    )
    type Inferred = Answer & { outputs: Record<string, { dims: number[]; data: number[] }> }
    const rows = async (file: string) => {
      const { outputs, feeWei } = await askOk<Inferred>(['compute', 'infer', file, '--deposit', '0.1'])
      const { dims, data } = at(Object.values(outputs), 0)
      const best = Array.from({ length: dims[0] ?? 0 }, (_, row) => {
        const own = data.slice(row * 10, row * 10 + 10)
        return own.indexOf(Math.max(...own))
      })
      return { best, feeWei }
    }
    const label = at(held.labels, 0)
    assert.deepEqual(await rows('digit.pgm'), { best: [label], feeWei: '4000' })
    assert.deepEqual(await rows('digits.json'), { best: [label, label], feeWei: '8000' })
  })

  const refusals: [name: string, args: string[], code: string, exit: number][] = [
    ['chat: a model that nobody serves', ['chat', 'hi', '--model', 'none'], 'INFERENCE_NO_PROVIDER', 69],
    ['chat: half a price', ['chat', 'hi', '--max-input-price', '1wei'], 'BAD_REQUEST', 64],
    ['infer: no file', ['infer', 'nowhere.npy'], 'FILE_MISSING', 66],
    ['infer: the wrong shape', ['infer', 'three.json'], 'COMPUTE_INPUT_INVALID', 65],
  ]
  for (const [name, args, code, exit] of refusals) {
    it(`error: ${name}`, async () => {
      writeFileSync(join(folder, 'three.json'), '[1, 2, 3]')
      const run = await ask(['compute', ...args])
      assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
    })
  }

  it('error: chat: a limit that nothing fits in', async () => {
    // This one has asked nothing yet: no ceiling of before covers it.
    const fresh = world.account(6)
    await world.fund(fresh, chat.wallet.address)
    const run = await zerog(['compute', 'chat', 'hi', '--max-spend', '1wei'], {
      PRIVATE_KEY: fresh.privateKey,
    })
    assert.deepEqual([run.errorCode(), run.code], ['INFERENCE_LIMIT_REACHED', 77], run.stderr)
  })
})

describe('zerog compute proxy', () => {
  const STORY = {
    model: CHAT,
    messages: [{ role: 'user' as const, content: 'Tell me a story about a fox.' }],
    temperature: 0,
  }
  let proxy: RunningCli
  let url: string
  let apiKey: string
  let client: OpenAI

  before(async () => {
    await start(['--day-limit', '0.1'])
  })
  after(async () => {
    proxy?.kill('SIGTERM')
    await proxy?.done
  })

  async function start(more: readonly string[]): Promise<void> {
    const env = { ...chainEnv(), PRIVATE_KEY: asker.privateKey }
    proxy = startZerog(['compute', 'proxy', '--port', '0', '--deposit', '1', '--json', ...more], {
      cwd: folder,
      env,
    })
    let ended = false
    void proxy.done.then(() => {
      ended = true
    })
    await until('the proxy listens', () => ended || proxy.stdout().trimEnd().endsWith('}'))
    const made = JSON.parse(proxy.stdout()) as { url: string; apiKey?: string }
    url = made.url
    apiKey = made.apiKey ?? apiKey
    client = new OpenAI({ baseURL: url, apiKey, maxRetries: 0, timeout: MINUTE_MS })
  }

  async function restart(): Promise<void> {
    proxy.kill('SIGINT')
    assert.equal((await proxy.done).code, 0)
    await start([])
  }

  it('default: the unmodified openai client: models, chat plain and streaming, completions, embeddings', async () => {
    const models = await client.models.list()
    assert.deepEqual(models.data.map(({ id }) => id).sort(), [CHAT, DIGITS, EMBED])
    assert.equal((await client.models.retrieve(CHAT)).id, CHAT)

    const { data: whole, response } = await client.chat.completions.create(STORY).withResponse()
    assert.equal(response.headers.get('x-zerog-provider'), chat.wallet.address)
    assert.equal(response.headers.get('x-zerog-verified'), 'true')
    const text = at(whole.choices, 0).message.content
    assert.match(text ?? '', /fox/)
    assert.ok((whole.usage?.completion_tokens ?? 0) > 10)

    const stream = await client.chat.completions.create({
      ...{ ...STORY, stream: true as const },
      stream_options: { include_usage: true },
    })
    let streamed = ''
    let usage: unknown
    let finish: unknown
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    assert.deepEqual([streamed, finish, usage], [text, 'stop', whole.usage])

    const completion = await client.completions.create({
      ...{ model: CHAT, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 },
    })
    assert.equal(completion.usage?.completion_tokens, 8)
    const { data: vectors } = await client.embeddings.create({ model: EMBED, input: ['fox', 'steel'] })
    assert.deepEqual(
      vectors.map(({ index, embedding }) => [index, embedding.length > 100]),
      [
        [0, true],
        [1, true],
      ],
    )
  })

  it('behavior: many at once each get their own answer', async () => {
    const topics = ['fox', 'owl', 'cat', 'dog', 'bear', 'hare', 'mouse', 'horse']
    const answers = await Promise.all(
      topics.map((topic) => {
        const messages = [{ role: 'user' as const, content: `Tell me a story about a ${topic}.` }]
        return client.chat.completions.create({ ...STORY, messages })
      }),
    )
    for (const [i, topic] of topics.entries())
      assert.match(at(at(answers, i).choices, 0).message.content ?? '', new RegExp(topic))
  })

  it('behavior: while it runs, other commands say where it is', async () => {
    const busy = await ask(['compute', 'chat', 'hi'])
    assert.equal(busy.errorCode(), 'DATA_DIR_IN_USE', busy.stderr)
    assert.ok(busy.stderr.includes(url))
  })

  const wrong: [name: string, attempt: (openai: OpenAI) => Promise<unknown>, status: number, code: string][] =
    [
      [
        'another key',
        () => new OpenAI({ baseURL: url, apiKey: 'sk-zerog-x', maxRetries: 0 }).models.list(),
        401,
        'UNAUTHORIZED',
      ],
      [
        'an unknown model',
        (openai) => openai.chat.completions.create({ ...STORY, model: 'none' }),
        404,
        'COMPUTE_MODEL_UNKNOWN',
      ],
      [
        'a model of another kind',
        (openai) => openai.chat.completions.create({ ...STORY, model: EMBED }),
        404,
        'COMPUTE_MODEL_UNKNOWN',
      ],
      [
        'no messages',
        (openai) => openai.chat.completions.create({ ...STORY, messages: [] }),
        400,
        'BAD_REQUEST',
      ],
      [
        'negative max_tokens',
        (openai) => openai.chat.completions.create({ ...STORY, max_tokens: -1 }),
        400,
        'BAD_REQUEST',
      ],
      [
        'more than the day has left',
        (openai) => openai.chat.completions.create({ ...STORY, max_tokens: 10 ** 14 }),
        402,
        'INFERENCE_LIMIT_REACHED',
      ],
      ['an unknown route', (openai) => openai.get('/nothing'), 404, 'NOT_FOUND'],
      ['no JSON', () => post('{'), 400, 'BAD_REQUEST'],
      ['too large a body', () => announce(9 << 20), 413, 'BODY_TOO_LARGE'],
    ]
  async function post(body: string): Promise<void> {
    const response = await fetch(`${url}/chat/completions`, {
      ...{ method: 'POST', body, signal: AbortSignal.timeout(MINUTE_MS) },
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    })
    throw failure(response.status, await response.text())
  }
  /** Says how long a body is, and is refused before it sends it. */
  async function announce(bytes: number): Promise<void> {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-length': bytes }
    const sent = request(`${url}/embeddings`, { method: 'POST', headers, timeout: MINUTE_MS })
    sent.flushHeaders()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const body = await text(response)
    sent.destroy()
    throw failure(response.statusCode ?? 0, body)
  }
  function failure(status: number, body: string): Error {
    const { error } = JSON.parse(body) as { error: { code: string; message: string } }
    return Object.assign(new Error(error.message), { status, code: error.code })
  }
  for (const [name, attempt, status, code] of wrong) {
    it(`error: ${name}`, async () => {
      await assert.rejects(attempt(client), { status, code })
    })
  }

  describe('when a provider dies in the middle of a stream', () => {
    let dying: WorldProvider
    let child: RunningProcess

    before(async () => {
      const price = { INPUT_PRICE_WEI: '1', OUTPUT_PRICE_WEI: '1' }
      dying = await world.addProvider(9, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), ...price })
    })
    beforeEach(
      async () => {
        const crash = { ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: 'after-receipt', DATA_DIR: tempDir() }
        child = await dying.spawn(crash)
        await until('the cheapest of all is listed', async () => {
          await world.anvil.mine(1)
          return dying.isListed()
        })
        // A new process has no bad memories of a provider that died before.
        await restart()
      },
      { timeout: 2 * MINUTE_MS },
    )
    afterEach(() => child.stop())

    it('behavior: what is determined goes on at another with the same text', async () => {
      const stream = await client.chat.completions.create({ ...STORY, stream: true as const })
      let read = ''
      for await (const chunk of stream) read += chunk.choices[0]?.delta.content ?? ''
      assert.equal((await child.exited).signal, 'SIGKILL')
      const whole = await client.chat.completions.create(STORY)
      assert.equal(read, at(whole.choices, 0).message.content, 'once, and whole')
    })

    it('error: what is not determined ends, and was not whole', async () => {
      const wish = { ...STORY, temperature: 1, stream: true as const }
      let read = ''
      let finish: unknown
      await assert.rejects(
        async () => {
          for await (const chunk of await client.chat.completions.create(wish)) {
            read += chunk.choices[0]?.delta.content ?? ''
            finish = chunk.choices[0]?.finish_reason ?? finish
          }
        },
        (error: Error) => error instanceof OpenAI.APIError,
      )
      assert.equal((await child.exited).signal, 'SIGKILL')
      assert.notEqual(read, '')
      assert.equal(finish, undefined)
    })
  })

  it('behavior: stopped and started again it has the same key; a new one ends the old', async () => {
    const old = apiKey
    await restart()
    assert.equal(apiKey, old)
    await client.models.list()
    proxy.kill('SIGTERM')
    await proxy.done
    await start(['--new-key'])
    assert.notEqual(apiKey, old)
    await client.models.list()
    const outdated = new OpenAI({ baseURL: url, apiKey: old, maxRetries: 0 })
    await assert.rejects(outdated.models.list(), { status: 401 })
  })
})

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

describe('zerog agent compute', () => {
  /** A name in the registry, from which the root of its manifest comes. */
  const OTHER = 'zerog/digits-too'
  type Finding = { check: string; state: 'ok' | 'warn' | 'fail'; found: string; mend?: string }
  let cwd: string
  let port: number
  let agent: RunningCli | undefined
  let operator = ''

  before(async () => {
    cwd = join(tempDir(), 'operator')
    mkdirSync(cwd)
    port = await freePort()
    const terms = { ...OPEN_TERMS, manifestRoot: digitsRoot, kind: 'classification', licence: 'MIT' }
    const registered = { modelId: OTHER, terms: { ...terms, inputFloorWei: 400n } }
    await world.send(world.account(7), registerModelCall(world.chain, registered))
  })
  after(async () => {
    agent?.kill('SIGTERM')
    await agent?.done
  })

  const url = () => `http://127.0.0.1:${port}`
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    runZerog([...args, '--json'], { cwd, env: { ...chainEnv(), ...env } })
  const init = (more: readonly string[] = []) =>
    run(['agent', 'init', 'compute', '--public-url', url(), '--host', '127.0.0.1', ...more])
  const wish = () => [
    ...['--port', String(port), '--model', OTHER],
    ...['--input-price', '500wei', '--output-price', '0', '--execution-provider', 'cpu'],
  ]

  async function doctor(env: Record<string, string> = {}) {
    const done = await run(['doctor'], env)
    const { healthy, findings } = done.json<{ healthy: boolean; findings: Finding[] }>()
    assert.equal(healthy, done.code === 0)
    return { findings, failed: findings.filter(({ state }) => state === 'fail') }
  }

  it('error: bad choices write no .env', async () => {
    const at = ['--port', String(port), '--model', OTHER]
    const cases: [args: string[], code: string][] = [
      [[...at, '--model-dir', 'nowhere'], 'COMPUTE_MODEL_INVALID'],
      [[...at, '--model-dir', cwd], 'COMPUTE_MODEL_INVALID'],
      [[...at, '--input-price', '399wei'], 'PRICE_TOO_LOW'],
      [[...at, '--model-root', `0x${'ab'.repeat(32)}`], 'UNKNOWN_ROOT'],
      [['--port', String(port), '--model', 'm'], 'BAD_REQUEST'],
    ]
    for (const [args, code] of cases) {
      const bad = await init(args)
      assert.equal(bad.errorCode(), code, bad.stderr)
    }
    assert.throws(() => readFileSync(join(cwd, '.env')))
  })

  it('from an empty folder to a listed service', { timeout: 4 * MINUTE_MS }, async () => {
    const poor = await init(wish())
    assert.equal(poor.errorCode(), 'INSUFFICIENT_FUNDS', poor.stderr)
    const { meta } = (JSON.parse(poor.stderr) as { error: { meta: { operator: string } } }).error
    operator = meta.operator
    await (await user.sendTransaction({ to: operator, value: parseEther('300') })).wait()

    const done = await init(wish())
    assert.equal(done.code, 0, done.stderr)
    const { sent, backingWei } = done.json<{ sent: string[]; backingWei: string }>()
    assert.deepEqual(sent, ['registered', 'endpoint', 'staked', 'allocated'])
    assert.equal(BigInt(backingWei), world.chain.computeTerms.minProviderStakeWei)
    const env = parseEnv(readFileSync(join(cwd, '.env'), 'utf8'))
    assert.deepEqual(
      [
        env.MODEL_ID,
        env.MODEL_ROOT,
        env.MODEL_OWNER,
        env.INPUT_PRICE_WEI,
        env.OUTPUT_PRICE_WEI,
        env.EXECUTION_PROVIDER,
      ],
      [OTHER, digitsRoot, world.account(7).address, '500', '0', 'cpu'],
    )
    assert.deepEqual((await init()).json<{ sent: string[] }>().sent, [], 'a second run sends nothing')

    const { failed } = await doctor()
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['service', 'agent'],
      'not listed, not running',
    )
    assert.match(at(failed, 1).mend ?? '', /zerog agent compute/)

    agent = startZerog(['agent', 'compute'], {
      cwd,
      env: { ...chainEnv(), REDIS_URL: world.redis.url, CONFIRMATIONS: '0', THREADS: '1', LOG_LEVEL: 'warn' },
    })
    await until(
      'the service is listed',
      async () => {
        await world.anvil.mine(1)
        return world.inference.serviceExists(operator)
      },
      2 * MINUTE_MS,
    )
    const healthy = await doctor()
    assert.deepEqual(
      healthy.findings.filter(({ state }) => state !== 'ok'),
      [],
    )
    const checks = healthy.findings.map(({ check }) => check)
    for (const check of [
      'balance',
      'stake',
      'service',
      'signer',
      'endpoint',
      'registry',
      'agent',
      'model',
      'disk',
    ])
      assert.ok(checks.includes(check), check)
  })

  it('doctor: what is wrong with a listed provider, and how to mend it', async () => {
    const wrongUrl = await doctor({ PUBLIC_URL: 'http://127.0.0.1:1' })
    assert.deepEqual(
      wrongUrl.failed.map(({ check }) => check),
      ['endpoint', 'agent'],
    )
    const other = await doctor({ INPUT_PRICE_WEI: '501' })
    assert.match(other.findings.find(({ check }) => check === 'service')?.mend ?? '', /restart the agent/)
    const balanceWei = await world.rpc.getBalance(operator)
    await world.anvil.rpc('anvil_setBalance', operator, '0x0')
    const drained = await doctor()
    await world.anvil.rpc('anvil_setBalance', operator, `0x${balanceWei.toString(16)}`)
    assert.deepEqual(
      drained.failed.map(({ check }) => check),
      ['balance'],
    )
    const outside = await runZerog(['doctor', '--operator', chat.wallet.address, '--json'], {
      cwd: folder,
      env: chainEnv(),
    })
    assert.equal(outside.code, 0, outside.stdout)
  })

  it('stake: status, more and back', async () => {
    const more = await run(['stake', 'deposit', '1', '--allocate', '--service', 'compute'])
    assert.equal(more.code, 0, more.stderr)
    const back = await run(['stake', 'deallocate', '1', '--service', 'compute'])
    assert.equal(back.code, 0, back.stderr)
    const status = (await run(['stake', 'status', '--service', 'compute'])).json<{
      allocation: { backingWei: string; pendingWei: string }
    }>()
    assert.equal(BigInt(status.allocation.pendingWei), parseEther('1'))
  })

  it('a running agent that cannot load its model says so to doctor', { timeout: 2 * MINUTE_MS }, async () => {
    agent?.kill('SIGTERM')
    assert.equal((await agent?.done)?.code, 0, 'a stopped agent ends well')
    const broken = join(cwd, 'broken', 'onnx')
    mkdirSync(broken, { recursive: true })
    writeFileSync(join(broken, 'model.onnx'), 'no graph')
    agent = startZerog(['agent', 'compute'], {
      cwd,
      env: {
        ...chainEnv(),
        ...{ REDIS_URL: world.redis.url, CONFIRMATIONS: '0', LOG_LEVEL: 'silent' },
        ...{ MODEL_ROOT: '', MODEL_DIR: join(cwd, 'broken') },
      },
    })
    await until('it says what is wrong with the model', async () => {
      const { failed } = await doctor()
      return failed.length === 1 && at(failed, 0).check === 'model'
    })
  })
})
