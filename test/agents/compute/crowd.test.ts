import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { responseText } from '../../../sdk/protocol/response-text.ts'
import type { RunningProcess } from '../../support/processes.ts'
import { until } from '../../support/until.ts'
import { type ComputeWorld, modelDir, startComputeWorld, type WorldProvider } from './compute-world.ts'

const CHAT = 'zerog/chat-mini'
const CROWD_SEC = 60
const FIRST_USER = 18
/** Streams that each user keeps open: three users have most of the 200, so that taking turns by request would starve the others. */
const STREAMS_OF = [40, 40, 40, ...new Array<number>(12).fill(5), ...new Array<number>(5).fill(4)]
const ANIMALS = ['fox', 'bear', 'hen', 'cat', 'dog', 'mouse', 'frog', 'cow', 'duck', 'fish', 'goat', 'lion']
/** The heap that agent and worker may have each: what leaks ends them. Buffers and the runtime's arenas come on top. */
const HEAP_MIB = 192
const MAX_RSS_MIB = 1024

describe('a crowd of streaming clients', () => {
  let world: ComputeWorld
  let provider: WorldProvider
  let agent: RunningProcess
  const keys: string[] = []

  before(async () => {
    world = await startComputeWorld()
    provider = await world.addProvider(0, {
      ...{ MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), ACCOUNT_CACHE_MS: '2000', USER_REQUESTS: '40' },
    })
    agent = await provider.spawn({ NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` })
    await until('the service is listed', async () => {
      await world.anvil.mine(1)
      return provider.isListed()
    })
    for (const user of STREAMS_OF.keys()) {
      await world.fund(world.account(FIRST_USER + user), provider.wallet.address)
      keys.push(await world.keyOf(world.account(FIRST_USER + user), provider.wallet.address))
    }
  })
  after(() => world.stop())

  const read = async <T>(path: string, user = 0) => {
    const response = await fetch(`${provider.url}${path}`, {
      ...{ headers: { authorization: `Bearer ${keys[user]}` }, signal: AbortSignal.timeout(60_000) },
    })
    assert.equal(response.status, 200)
    return (await response.json()) as T
  }

  /** One answer, read to its end: it is whole, of one stream, and its text is what belongs to its words. */
  async function stream(user: number, animal: string) {
    const body = JSON.stringify({
      ...{ stream: true, stream_options: { include_usage: true }, temperature: 0, max_tokens: 48 },
      messages: [{ role: 'user', content: `Tell me a story about a ${animal}.` }],
    })
    const startedMs = performance.now()
    const response = await fetch(`${provider.url}/v1/proxy/chat/completions`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${keys[user]}` }, body },
      signal: AbortSignal.timeout(300_000),
    })
    assert.equal(response.status, 200, animal)
    assert.ok(response.body)
    const parts: Uint8Array[] = []
    let firstMs = 0
    for await (const part of response.body) {
      // The first bytes are those of the first token: an answer begins with it.
      if (parts.length === 0) firstMs = performance.now() - startedMs
      parts.push(part)
    }
    const bytes = Buffer.concat(parts)
    const raw = bytes.toString()
    assert.ok(raw.endsWith('data: [DONE]\n\n'), raw.slice(-200))
    const chunks = raw
      .split('\n\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => JSON.parse(line.slice(6)) as Chunk)
    const id = response.headers.get('zg-res-key') ?? ''
    assert.ok(chunks.every((chunk) => chunk.id === id))
    const usage = chunks.at(-1)?.usage
    assert.ok(usage)
    const hash = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')
    return {
      ...{
        id,
        usage,
        firstMs,
        signed: responseText({ requestSha256: hash(body), responseSha256: hash(bytes) }),
      },
      text: chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''),
    }
  }

  it('behavior: for a minute nobody is refused, cut short, starved, or given what another asked for', async (t) => {
    const expected = new Map<string, string>()
    for (const animal of ANIMALS) expected.set(animal, (await stream(0, animal)).text)
    assert.equal(new Set(expected.values()).size, ANIMALS.length)
    const before = await owedWei()
    const { model } = await read<{ model: { workerPid: number } }>('/status')

    const endMs = performance.now() + CROWD_SEC * 1000
    const firstMs: number[] = []
    const tokensOf = STREAMS_OF.map(() => 0)
    const doneOf = STREAMS_OF.map(() => 0)
    let feesWei = 0n
    let turn = 0
    const clients = STREAMS_OF.flatMap((count, user) => new Array<number>(count).fill(user))
    assert.equal(clients.length, 200)
    const watching = watchMemory([agent.pid, model.workerPid], endMs)
    await Promise.all(
      clients.map(async (user, client) => {
        for (let round = 0; performance.now() < endMs; round++) {
          const animal = ANIMALS[(client + round) % ANIMALS.length] ?? ''
          const answer = await stream(user, animal)
          assert.equal(answer.text, expected.get(animal))
          firstMs.push(answer.firstMs)
          const { prompt_tokens, completion_tokens } = answer.usage
          feesWei += BigInt(prompt_tokens) * 1000n + BigInt(completion_tokens) * 3000n
          // What ends after the minute has had a quieter machine.
          if (performance.now() < endMs) tokensOf[user] = (tokensOf[user] ?? 0) + completion_tokens
          doneOf[user] = (doneOf[user] ?? 0) + 1
          if (turn++ % 8 !== 0) continue
          const { text } = await read<{ text: string }>(`/v1/proxy/signature/${answer.id}`, user)
          assert.equal(text, answer.signed)
        }
      }),
    )
    const rss = await watching
    assert.equal((await owedWei()) - before, feesWei)
    assert.equal((await read<{ activeRequests: number }>('/status')).activeRequests, 0)

    const mean = tokensOf.reduce((sum, tokens) => sum + tokens, 0) / tokensOf.length
    const sorted = firstMs.toSorted((a, b) => a - b)
    const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0)
    t.diagnostic(
      `${firstMs.length} streams, ${Math.round((mean * tokensOf.length) / CROWD_SEC)} tokens/s; ` +
        `first token p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; memory ${Math.round(Math.max(...rss))} MiB; ` +
        `tokens of a user ${Math.min(...tokensOf)} to ${Math.max(...tokensOf)}, mean ${Math.round(mean)}`,
    )
    assert.ok(doneOf.every((done) => done > 0))
    assert.ok(Math.min(...tokensOf) >= mean / 2, `tokens of the users: ${tokensOf.join(' ')}`)
    assert.ok(Math.max(...rss) < MAX_RSS_MIB, `agent and worker take ${rss.join(' ')} MiB`)
  })

  async function owedWei(): Promise<bigint> {
    const paths = keys.map((_, user) => `/v1/user/${world.account(FIRST_USER + user).address}/unsettledfee`)
    const fees = await Promise.all(
      paths.map((path, user) => read<{ unsettledFee: string }>(path, user).then((one) => one.unsettledFee)),
    )
    return fees.reduce((sum, fee) => sum + BigInt(fee), 0n)
  }
})

/** MiB of memory that the processes hold together, twice a second until the end. */
async function watchMemory(pids: readonly number[], endMs: number): Promise<number[]> {
  const samples: number[] = []
  for (; performance.now() < endMs; await delay(500)) {
    const args = ['-o', 'rss=', ...pids.flatMap((pid) => ['-p', String(pid)])]
    const { stdout } = await promisify(execFile)('ps', args)
    const kib = stdout.trim().split(/\s+/).map(Number)
    assert.equal(kib.length, pids.length)
    samples.push(Math.round(kib.reduce((sum, one) => sum + one, 0) / 1024))
  }
  return samples
}

type Chunk = {
  id: string
  choices: { delta: { content?: string } }[]
  usage?: { prompt_tokens: number; completion_tokens: number } | null
}
