import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { requestDeallocationCall } from '../../../sdk/chain/staking.ts'
import { readSubmissionTerms } from '../../../sdk/chain/storage.ts'
import { custodyLeaf, custodyRoot } from '../../../sdk/protocol/custody.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { merkleRoot } from '../../../sdk/protocol/merkle.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type StorageAgent, type StorageWorld, startWorld, type WorldProvider } from './storage-world.ts'
import {
  askToSign,
  assign,
  ownerPermit,
  type Prepared,
  prepare,
  prepareRandom,
  proposalOf,
  propose,
  putChunk,
  putShards,
  shardUrl,
  submit,
} from './upload-deal.ts'

const hasher = await loadHasher()
const HASH = `0x${'ab'.repeat(32)}`

type Raw = { status: number; code: string; meta: Record<string, unknown> }

async function answerOf(response: Response): Promise<Raw> {
  const text = await response.text()
  const body = text.startsWith('{') ? (JSON.parse(text) as { error?: { code: string; meta?: object } }) : {}
  return { status: response.status, code: body.error?.code ?? '', meta: { ...body.error?.meta } }
}

/** A request as written: no client cleans the path or the headers. */
function raw(
  provider: WorldProvider,
  {
    method,
    path,
    headers = {},
    body,
  }: { method: string; path: string; headers?: Record<string, string>; body?: Uint8Array },
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(provider.url)
    const outgoing = request({ hostname, port, method, path, headers, timeout: 20_000 }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString()
        const parsed = text.startsWith('{')
          ? (JSON.parse(text) as { error?: { code: string; meta?: object } })
          : {}
        resolve({
          status: response.statusCode ?? 0,
          code: parsed.error?.code ?? '',
          meta: { ...parsed.error?.meta },
        })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

describe('storage API refusals', () => {
  let world: StorageWorld
  let agents: StorageAgent[]
  let provider: WorldProvider
  let prepared: Prepared
  let txSeq: bigint

  before(async () => {
    world = await startWorld({ providers: 7 })
    // The last one is small and dear; the tests of limits go there.
    const limits = { CAPACITY_BYTES: '200000', UNSEALED_BYTES_PER_OWNER: '100000', CHUNK_BYTES: '65536' }
    agents = await Promise.all(
      world.providers.map((each, index) => each.start(index === 6 ? limits : { BODY_IDLE_MS: '300' })),
    )
    provider = world.provider(0)
    prepared = prepareRandom(500_000, 11)
    txSeq = await submit(world, prepared)
  })
  after(() => world.stop())

  const held = () => agents.flatMap(({ context }) => context.shards.list())
  const stored = async () =>
    JSON.stringify(held(), (_, value) => (typeof value === 'bigint' ? String(value) : value))

  it('error: malformed requests are refused, each with its code, and nothing is stored', async () => {
    const bytes = at(prepared.shards, 0).length
    const path = `/v1/shards/${txSeq}/0`
    const root = at(prepared.roots, 0)
    const authorization = await ownerPermit(txSeq)
    const put = (path: string, headers: Record<string, string> = {}, body = randomBytes(64, 1)) =>
      raw(provider, { method: 'PUT', path, headers: { authorization, ...headers }, body })
    const range = (text: string) => ({ 'content-range': text })
    const json = { 'content-type': 'application/json' }
    const proposal = JSON.stringify(proposalOf(prepared, assign(prepared, world.providers)))
    const custody = `/v1/deals/${txSeq}/custody`
    const before = await stored()
    const cases: [string, Promise<Raw>, number, string][] = [
      ['no root', put(path), 400, 'BAD_HEX'],
      ['short root', put(`${path}?root=0xabcd`), 400, 'BAD_HEX'],
      ['two roots', put(`${path}?root=${root}&root=${root}`), 400, 'BAD_HEX'],
      ['range of words', put(`${path}?root=${root}`, range('bytes a-b/c')), 400, 'BAD_REQUEST'],
      ['backward range', put(`${path}?root=${root}`, range(`bytes 9-3/${bytes}`)), 400, 'BAD_REQUEST'],
      ['range past the end', put(`${path}?root=${root}`, range(`bytes 0-63/63`)), 400, 'BAD_REQUEST'],
      [
        'range of another length',
        put(`${path}?root=${root}`, range(`bytes 0-64/${bytes}`)),
        400,
        'BAD_REQUEST',
      ],
      ['huge range', put(`${path}?root=${root}`, range(`bytes 0-63/${'9'.repeat(30)}`)), 400, 'BAD_REQUEST'],
      ['wrong total', put(`${path}?root=${root}`, range(`bytes 0-63/${bytes * 2}`)), 400, 'BAD_REQUEST'],
      ['whole body of another length', put(`${path}?root=${root}`), 400, 'BAD_REQUEST'],
      ['gap', put(`${path}?root=${root}`, range(`bytes 64-127/${bytes}`)), 409, 'OFFSET_MISMATCH'],
      [
        'index too high',
        put(`/v1/shards/${txSeq}/24?root=${root}`, range(`bytes 0-63/${bytes}`)),
        400,
        'BAD_REQUEST',
      ],
      ['index far too high', put(`/v1/shards/${txSeq}/80?root=${root}`), 400, 'BAD_REQUEST'],
      ['negative index', put(`/v1/shards/${txSeq}/-1?root=${root}`), 400, 'BAD_REQUEST'],
      ['index with a dot', put(`/v1/shards/${txSeq}/1.5?root=${root}`), 400, 'BAD_REQUEST'],
      ['huge txSeq', put(`/v1/shards/${'9'.repeat(40)}/0?root=${root}`), 400, 'BAD_REQUEST'],
      ['negative txSeq', put(`/v1/shards/-1/0?root=${root}`), 400, 'BAD_REQUEST'],
      ['hex txSeq', put(`/v1/shards/0x1/0?root=${root}`), 400, 'BAD_REQUEST'],
      [
        'unknown submission',
        put(`/v1/shards/999/0?root=${root}`, {
          ...range(`bytes 0-63/${bytes}`),
          authorization: await ownerPermit(999n),
        }),
        404,
        'UNKNOWN_SUBMISSION',
      ],
      [
        'path traversal',
        raw(provider, { method: 'GET', path: '/v1/shards/../../etc/passwd' }),
        404,
        'NOT_FOUND',
      ],
      [
        'encoded traversal',
        raw(provider, { method: 'GET', path: '/v1/shards/..%2f..%2fetc/0' }),
        400,
        'BAD_REQUEST',
      ],
      ['zero byte', raw(provider, { method: 'GET', path: '/v1/shards/1%00/0' }), 400, 'BAD_REQUEST'],
      ['wrong method', raw(provider, { method: 'DELETE', path }), 404, 'NOT_FOUND'],
      ['unknown shard', raw(provider, { method: 'GET', path }), 404, 'SHARD_UNKNOWN'],
      ['unknown chunk', raw(provider, { method: 'GET', path: `${path}/chunks/0` }), 404, 'SHARD_UNKNOWN'],
      ['bad chunk', raw(provider, { method: 'GET', path: `${path}/chunks/x` }), 400, 'BAD_REQUEST'],
      [
        'no chunk in a list',
        raw(provider, { method: 'GET', path: `${path}/chunks/1,,2` }),
        400,
        'BAD_REQUEST',
      ],
      [
        'too many chunks',
        raw(provider, { method: 'GET', path: `${path}/chunks/${Array.from({ length: 17 }, (_, i) => i)}` }),
        400,
        'BAD_REQUEST',
      ],
      ['unknown deal', raw(provider, { method: 'GET', path: '/v1/deals/999' }), 404, 'UNKNOWN_SUBMISSION'],
      ['bad cursor', raw(provider, { method: 'GET', path: '/v1/deals?cursor=-1' }), 400, 'BAD_REQUEST'],
      ['malformed JSON', put(custody, json, Buffer.from('{"byteLength":')), 400, 'BAD_REQUEST'],
      ['no JSON', put(custody, json, Buffer.from('[]')), 400, 'BAD_REQUEST'],
      [
        'proposal with an extra field',
        put(custody, json, Buffer.from(proposal.replace('{', '{"x":1,'))),
        400,
        'BAD_REQUEST',
      ],
      [
        'proposal with bad hex',
        put(custody, json, Buffer.from(proposal.replace('"0x', '"0y'))),
        400,
        'BAD_REQUEST',
      ],
      ['proposal of shards not here', put(custody, json, Buffer.from(proposal)), 404, 'SHARD_UNKNOWN'],
      ['body too large', put(custody, json, new Uint8Array(2_000_000)), 413, 'BODY_TOO_LARGE'],
      [
        'sign unproposed',
        raw(provider, {
          method: 'POST',
          path: `/v1/deals/${txSeq}/sign`,
          headers: { ...json, authorization },
          body: Buffer.from(JSON.stringify({ custodyRoot: HASH })),
        }),
        404,
        'NOT_FOUND',
      ],
      [
        'sign nonsense',
        raw(provider, {
          method: 'POST',
          path: `/v1/deals/${txSeq}/sign`,
          headers: { ...json, authorization },
          body: Buffer.from('{"custodyRoot":1}'),
        }),
        400,
        'BAD_REQUEST',
      ],
    ]
    for (const [name, pending, status, code] of cases) {
      const answer = await pending
      assert.deepEqual([answer.status, answer.code], [status, code], name)
    }
    assert.equal(await stored(), before)
  })

  it('error: a body over the chunk limit', async () => {
    const small = world.provider(6)
    const file = prepareRandom(2_000_000, 12)
    const seq = await submit(world, file)
    const ref = { txSeq: seq, index: 0, root: at(file.roots, 0), shard: at(file.shards, 0) }
    const answer = await answerOf(await putChunk(small, ref, { start: 0, end: 65_537 }))
    assert.deepEqual([answer.status, answer.code, answer.meta], [413, 'BODY_TOO_LARGE', { maxBytes: 65_536 }])
  })

  it('error: over the quota of an owner, and over the capacity', async () => {
    const small = world.provider(6)
    const file = prepareRandom(900_000, 13)
    const seq = await submit(world, file)
    const begin = (index: number) =>
      putChunk(
        small,
        { txSeq: seq, index, root: at(file.roots, index), shard: at(file.shards, index) },
        { start: 0, end: 256 },
      )
    assert.equal((await begin(0)).status, 200)
    const quota = await answerOf(await begin(1))
    assert.deepEqual([quota.status, quota.code], [429, 'QUOTA_EXCEEDED'])
    await agents[6]?.stop()
    const roomy = { CAPACITY_BYTES: '100000', CHUNK_BYTES: '65536' }
    agents[6] = await small.start(roomy)
    const full = await answerOf(await begin(1))
    assert.deepEqual([full.status, full.code], [507, 'DISK_FULL'])
    assert.ok(Number(full.meta.freeBytes) < Number(full.meta.neededBytes))
    assert.equal(agents[6]?.context.shards.list().length, 1)
  })

  it('error: a price below what the provider asks, and a closed deadline', async () => {
    await agents[6]?.stop()
    agents[6] = await world.provider(6).start({ MIN_PRICE_WEI: '1000000000000' })
    const file = prepareRandom(50_000, 14)
    const seq = await submit(world, file)
    const ref = { txSeq: seq, index: 0, root: at(file.roots, 0), shard: at(file.shards, 0) }
    const dear = await answerOf(await putChunk(world.provider(6), ref))
    assert.deepEqual([dear.status, dear.code], [402, 'PRICE_TOO_LOW'])
    const { sealDeadline } = await readSubmissionTerms(world.chain, seq)
    const whole = await putChunk(provider, ref)
    assert.equal(whole.status, 200)
    await world.mineTo(sealDeadline + 1n)
    const late = await answerOf(await putChunk(world.provider(1), ref))
    assert.deepEqual([late.status, late.code], [410, 'DEADLINE_PASSED'])
    // The others' tests submit anew: their deadline has passed with it.
    txSeq = await submit(world, prepared)
  })

  it('error: a wrong root discards the shard; a body that stops is given up and can be resumed', async () => {
    const shard = at(prepared.shards, 3)
    const wrong = await answerOf(await putChunk(provider, { txSeq, index: 3, root: HASH, shard }))
    assert.deepEqual([wrong.status, wrong.code], [422, 'ROOT_MISMATCH'])
    assert.equal((await fetch(shardUrl(provider, txSeq, 3), { method: 'HEAD' })).status, 404)

    const { hostname, port } = new URL(provider.url)
    const authorization = await ownerPermit(txSeq)
    const stalled = await new Promise<number>((resolve, reject) => {
      const outgoing = request(
        {
          hostname,
          port,
          method: 'PUT',
          path: `/v1/shards/${txSeq}/3?root=${at(prepared.roots, 3)}`,
          headers: { 'content-length': shard.length, authorization },
        },
        (response) => {
          response.resume()
          resolve(response.statusCode ?? 0)
          outgoing.destroy()
        },
      )
      outgoing.on('error', reject)
      outgoing.write(shard.subarray(0, 1000))
    })
    assert.equal(stalled, 504)
    const head = await fetch(shardUrl(provider, txSeq, 3), { method: 'HEAD' })
    assert.equal(head.headers.get('upload-offset'), '1000')
    const ref = { txSeq, index: 3, root: at(prepared.roots, 3), shard }
    const rest = await putChunk(provider, ref, { start: 1000, end: shard.length })
    assert.equal(((await rest.json()) as { complete: boolean }).complete, true)
  })

  it('error: proposals that do not follow from the chain or the shards', async () => {
    const keepers = assign(prepared, world.providers.slice(0, 6))
    await putShards(txSeq, prepared, keepers)
    const good = proposalOf(prepared, keepers)
    const proposing = async (change: Partial<typeof good>, to = provider) =>
      answerOf(await propose(to, txSeq, { ...good, ...change }))
    const rooted = (shards: typeof good.shards) => ({
      shards,
      custodyRoot: custodyRoot(
        shards.map(({ index, provider: holder, root }) =>
          custodyLeaf({ index, provider: holder, shardRoot: root }),
        ),
      ),
    })
    const change = (index: number, shard: Partial<(typeof good.shards)[0]>) =>
      rooted(good.shards.map((each) => (each.index === index ? { ...each, ...shard } : each)))
    const mine = world.provider(0).wallet.address
    const codes = {
      'another length': await proposing({ byteLength: String(prepared.submission.byteLength - 1) }),
      'another node': await proposing({ nodes: [{ root: HASH, height: 11 }] }),
      'another data root': await proposing(change(1, { root: HASH })),
      'another own parity root': await proposing(change(18, { root: HASH })),
      'another custody root': await proposing({ custodyRoot: HASH }),
      'too few shards': await proposing(rooted(good.shards.slice(0, -1))),
      'shards out of order': await proposing(rooted([...good.shards].reverse())),
      'too many for one': await proposing(change(1, { provider: mine })),
      'none for us': await proposing({}, world.provider(6)),
    }
    assert.deepEqual(Object.fromEntries(Object.entries(codes).map(([name, { code }]) => [name, code])), {
      'another length': 'ROOT_MISMATCH',
      'another node': 'ROOT_MISMATCH',
      'another data root': 'ROOT_MISMATCH',
      'another own parity root': 'ROOT_MISMATCH',
      'another custody root': 'ROOT_MISMATCH',
      'too few shards': 'BAD_REQUEST',
      'shards out of order': 'BAD_REQUEST',
      'too many for one': 'CUSTODY_REFUSED',
      'none for us': 'PRICE_TOO_LOW',
    })
    assert.equal((await proposing({})).status, 200)
  })

  it('error: parity that is not parity is not signed, nor when a co-custodian is away', async () => {
    const data = randomBytes(300_000, 15)
    const file = prepare(data)
    const bad = Uint8Array.from(at(file.shards, 16), (byte) => byte ^ 1)
    const shards = file.shards.map((shard, index) => (index === 16 ? bad : shard))
    const roots = file.roots.map((root, index) => (index === 16 ? toHex(merkleRoot(hasher, bad)) : root))
    const forged = { ...file, shards, roots }
    const keepers = assign(forged, world.providers.slice(0, 6))
    const seq = await submit(world, forged)
    await putShards(seq, forged, keepers)
    const proposal = proposalOf(forged, keepers)
    for (const each of world.providers.slice(0, 6)) {
      assert.equal((await propose(each, seq, proposal)).status, 200)
    }
    const sign = async (to: WorldProvider) => answerOf(await askToSign(to, seq, proposal.custodyRoot))
    const wrong = await sign(at(keepers, 16))
    assert.deepEqual([wrong.status, wrong.code, wrong.meta.index], [424, 'PARITY_WRONG', 16])
    assert.equal((await sign(at(keepers, 17))).status, 200)
    await agents[1]?.stop()
    const away = await sign(at(keepers, 17))
    assert.deepEqual([away.status, away.code], [502, 'PEER_UNREACHABLE'])
    agents[1] = await world.provider(1).start()
  })

  it('error: no signature without the stake for it', async () => {
    const poor = world.provider(6)
    await agents[6]?.stop()
    const stakeWei = 10n ** 20n
    await world.send(poor.wallet, requestDeallocationCall(world.chain, { amountWei: stakeWei - 1000n }))
    agents[6] = await poor.start()
    const file = prepareRandom(20_000, 16)
    const keepers = assign(file, world.providers)
    const seq = await submit(world, file)
    await putShards(seq, file, keepers)
    const proposal = proposalOf(file, keepers)
    for (const each of world.providers) {
      assert.equal((await propose(each, seq, proposal)).status, 200)
    }
    const refused = await answerOf(await askToSign(poor, seq, proposal.custodyRoot))
    assert.deepEqual([refused.status, refused.code, refused.meta.backingWei], [409, 'STAKE_TOO_LOW', '1000'])
    const status = (await (await fetch(`${poor.url}/status`)).json()) as { problems: string[] }
    assert.deepEqual(status.problems, [])
  })

  it('behavior: no malformed request brings the agent down or stores anything', async () => {
    const word = fc.oneof(
      fc.constantFrom(
        'v1',
        'shards',
        'deals',
        'custody',
        'sign',
        'chunks',
        '0',
        '1',
        '23',
        '..',
        '%2e%2e',
        '%00',
        '-1',
        '1e3',
      ),
      fc.string({ maxLength: 12 }).map(encodeURIComponent),
      fc.bigInt().map(String),
    )
    const header = fc.constantFrom(
      {},
      { 'content-type': 'application/json' },
      { 'content-type': 'application/octet-stream' },
      { 'content-type': 'text/plain; charset=\u00e9'.normalize('NFKD').replace(/[^ -~]/g, '') },
      { 'content-range': 'bytes 0-3/4' },
      { 'content-range': 'bytes 0-18446744073709551615/18446744073709551616' },
      { range: 'bytes=0-' },
      { range: 'bytes=5-1' },
      { range: 'items=1' },
      { authorization: 'ZeroG x y z' },
      { authorization: await ownerPermit(1n) },
      { authorization: `ZeroG ${'0x'.padEnd(42, '1')} 9999999999 ${'0x'.padEnd(132, '0')}` },
    )
    const before = await stored()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'PUT', 'POST', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'),
        fc.array(word, { maxLength: 7 }),
        fc.option(fc.tuple(fc.constantFrom('root', 'height', 'cursor'), word), { nil: undefined }),
        header,
        fc.uint8Array({ maxLength: 64 }),
        async (method, words, query, headers, body) => {
          const path = `/${words.join('/')}${query ? `?${query[0]}=${query[1]}` : ''}`
          const length =
            method === 'GET' || method === 'HEAD' ? {} : { 'content-length': String(body.length) }
          const answer = await raw(provider, {
            method,
            path,
            headers: { ...headers, ...length },
            ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
          })
          assert.ok(answer.status < 500, `${method} ${path}: ${answer.status} ${answer.code}`)
        },
      ),
      { numRuns: 400, seed: 7 },
    )
    assert.equal(await stored(), before)
    assert.equal((await fetch(`${provider.url}/health`)).status, 200)
  })
})
