import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { parseEther } from 'ethers'
import { localhost } from '../../../deploy/params/localhost.ts'
import {
  parseSessionToken,
  sessionTokenFault,
  verifySessionToken,
} from '../../../sdk/protocol/session-token.ts'
import { ROOT } from '../../support/repository.ts'
import { until } from '../../support/until.ts'
import { type ComputeWorld, modelDir, startComputeWorld, type WorldProvider } from './compute-world.ts'

const run = promisify(execFile)
const CHAT = 'zerog/chat-mini'
const EMBED = 'zerog/embed-mini'
/** 2^-18 coins: the public client takes amounts as floating-point coins, and can name multiples of this one exactly. */
const PRICE_WEI = 5n ** 18n

type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number }
type Failure = { name: string; status?: number; code?: string; type?: string }
type Answer = {
  services: { provider: string; acknowledged: boolean }[]
  acknowledged: boolean
  metadata: { endpoint: string; model: string }
  fundedWei: string[]
  headers: string[]
  plain: { text: string; usage: Usage; verified: boolean }
  streamed: { text: string; usage: Usage; verified: boolean }
  unknownId: string
  apiKey: string
  models: string[]
  model: string
  completion: { text: string; usage: Usage }
  streamedCompletion: string
  errors: Record<'model' | 'body' | 'stream' | 'route' | 'missing' | 'key', Failure>
  revoked: Failure
  embedding: { sizes: number[]; near: number; far: number }
  askedWei: string[]
  earlyWei: string
  availableWei: string
  gone: string
}

describe('the public clients', () => {
  let world: ComputeWorld
  let chat: WorldProvider
  let embed: WorldProvider
  let answer: Answer
  const mining = new AbortController()

  before(async () => {
    world = await startComputeWorld()
    const settings = {
      ...{ INPUT_PRICE_WEI: String(PRICE_WEI), OUTPUT_PRICE_WEI: String(2n * PRICE_WEI) },
      ...{ SETTLE_AMOUNT_WEI: '1' },
    }
    chat = await world.addProvider(0, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), ...settings })
    embed = await world.addProvider(1, { MODEL_ID: EMBED, MODEL_DIR: modelDir('embed'), ...settings })
    await Promise.all([chat.start(), embed.start()])
    await until('the services are listed', async () => {
      await world.anvil.mine(1)
      return (await chat.isListed()) && (await embed.isListed())
    })
    void keepMining(world, mining.signal)
    const { lockSec } = localhost.resolve({ blockSec: 1, prevRandaoVaries: true }).compute.inference
    const { stdout } = await run(
      process.execPath,
      [
        join(ROOT, 'test/clients/public-compute.mjs'),
        ...[world.anvil.rpcUrl, world.account(20).privateKey],
        ...[chat.wallet.address, embed.wallet.address, `${lockSec}`],
      ],
      { timeout: 300_000, cwd: join(ROOT, 'test/clients') },
    )
    answer = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Answer
  })
  after(async () => {
    mining.abort()
    await world.stop()
  })

  it('default: finds services, funds and acknowledges, with no address of a contract given', () => {
    const listed = [chat, embed].map(({ wallet }) => ({ provider: wallet.address, acknowledged: true }))
    assert.deepEqual(sorted(answer.services), sorted(listed))
    assert.equal(answer.acknowledged, true)
    assert.deepEqual(answer.metadata, { endpoint: `${chat.url}/v1/proxy`, model: CHAT })
    assert.deepEqual(answer.fundedWei, [parseEther('5'), parseEther('6')].map(String))
    assert.deepEqual(answer.headers, ['Authorization'])
  })

  it('default: processResponse is true for a plain answer and for a stream', () => {
    const { plain, streamed } = answer
    assert.deepEqual([plain.verified, streamed.verified], [true, true])
    assert.match(plain.text, /fox/)
    assert.equal(streamed.text, plain.text)
    assert.deepEqual(streamed.usage, plain.usage)
    assert.ok(plain.usage.completion_tokens > 20 && plain.usage.prompt_tokens > 5)
    assert.match(answer.unknownId, /signature/i)
  })

  it('behavior: a persistent key is all that openai needs, until the chain says that it is revoked', async () => {
    assert.deepEqual([answer.models, answer.model], [[CHAT], CHAT])
    assert.ok(answer.completion.text.length > 0)
    assert.equal(answer.completion.usage.completion_tokens, 12)
    assert.equal(answer.streamedCompletion, answer.completion.text)
    assert.deepEqual(answer.revoked, refusal('AuthenticationError', 401, 'UNAUTHORIZED', answer.revoked.type))

    const [user, provider] = [world.account(20).address, chat.wallet.address]
    const isRevoked = await world.inference.isTokenRevoked(user, provider, 7)
    const session = parseSessionToken(answer.apiKey)
    assert.equal(verifySessionToken(session), user)
    const standing = { provider, generation: 0n, revokedBitmap: isRevoked ? 1n << 7n : 0n, nowMs: Date.now() }
    assert.match(sessionTokenFault(session.token, standing) ?? '', /revoked/)
  })

  it("error: openai's own classes, with our codes", () => {
    const { model, body, stream, route, missing, key } = answer.errors
    const request = 'invalid_request_error'
    assert.deepEqual(model, refusal('NotFoundError', 404, 'COMPUTE_MODEL_UNKNOWN', model.type))
    assert.deepEqual(body, refusal('BadRequestError', 400, 'BAD_REQUEST', request))
    assert.deepEqual(stream, refusal('BadRequestError', 400, 'BAD_REQUEST', request))
    assert.deepEqual(route, refusal('NotFoundError', 404, 'COMPUTE_MODEL_UNKNOWN', route.type))
    assert.deepEqual(missing, refusal('NotFoundError', 404, 'COMPUTE_MODEL_UNKNOWN', missing.type))
    assert.deepEqual(key, refusal('AuthenticationError', 401, 'UNAUTHORIZED', key.type))
  })

  it('behavior: embeddings of like texts are near each other', () => {
    const { sizes, near, far } = answer.embedding
    assert.equal(new Set(sizes).size, 1)
    assert.ok((sizes[0] ?? 0) > 16)
    assert.ok(near > far + 0.1, `${near} and ${far}`)
  })

  it('behavior: pays what it used, waits for the lock, and has the rest back to the last wei', async () => {
    const { plain, streamed, completion } = answer
    const chatWei = [plain, streamed, completion, completion]
      .map(({ usage }) => BigInt(usage.prompt_tokens + 2 * usage.completion_tokens) * PRICE_WEI)
      .reduce((sum, wei) => sum + wei, 0n)
    const [user, at] = [world.account(20), [chat.wallet, embed.wallet]]
    const [chatSettledWei = 0n, embedSettledWei = 0n] = await Promise.all(
      at.map((provider) => world.inference.settledOf(user, provider)),
    )
    assert.equal(chatSettledWei, chatWei)
    assert.ok(embedSettledWei > 0n)
    // The client itself keeps two coins at a provider whenever it makes headers.
    assert.ok(BigInt(answer.askedWei[0] ?? 0) > parseEther('1'))
    assert.equal(BigInt(answer.askedWei[1] ?? 0), parseEther('1') - embedSettledWei)
    assert.equal(answer.earlyWei, '0')
    assert.equal(BigInt(answer.availableWei), parseEther('6') - chatSettledWei - embedSettledWei)
    assert.match(answer.gone, /Account does not exist/)
  })
})

const refusal = (name: string, status: number, code: string, type: string | undefined): Failure => ({
  ...{ name, status, code },
  ...(type === undefined ? {} : { type }),
})

const sorted = (list: Answer['services']) => [...list].sort((a, b) => (a.provider < b.provider ? -1 : 1))

/** Blocks come while the clients work, as on a live chain. */
async function keepMining(world: ComputeWorld, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await world.anvil.mine(1)
    await delay(200, undefined, { signal }).catch(() => undefined)
  }
}
