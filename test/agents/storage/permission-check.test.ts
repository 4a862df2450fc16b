import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Wallet, ZeroAddress } from 'ethers'
import { setSealerCall } from '../../../sdk/chain/storage-calls.ts'
import { MAX_PERMISSION_SEC, type Permission } from '../../../sdk/protocol/permission.ts'
import { at } from '../../support/content.ts'
import { until } from '../../support/until.ts'
import { OWNER, type StorageAgent, type StorageWorld, startWorld } from './storage-world.ts'
import {
  assign,
  CHAIN_ID,
  type Prepared,
  permit,
  prepareRandom,
  proposalOf,
  putChunk,
  putShards,
  shardUrl,
  submit,
} from './upload-deal.ts'

/** Room for the clock to go on between signing and asking. */
const SLACK_SEC = 60

describe('who may write to a provider', () => {
  let world: StorageWorld
  let agents: StorageAgent[]
  let prepared: Prepared
  let txSeq: bigint
  let wanted: Permission
  const stranger = new Wallet(Wallet.createRandom().privateKey)
  const nowSec = () => Math.floor(Date.now() / 1000)

  before(async () => {
    world = await startWorld()
    agents = await Promise.all(world.providers.map((provider) => provider.start()))
    prepared = prepareRandom(20_000, 51)
    txSeq = await submit(world, prepared)
    wanted = { action: 'write', chainId: CHAIN_ID, txSeq }
  })
  after(() => world.stop())

  /** Sends each of the three requests that write, with one header, and returns their statuses and codes. */
  async function write(authorization: string | undefined): Promise<string[]> {
    const { url } = world.provider(0)
    const proposal = proposalOf(prepared, assign(prepared, world.providers))
    const requests: [string, string, Record<string, string>, string | Uint8Array<ArrayBuffer>][] = [
      [
        'PUT',
        `${shardUrl(world.provider(0), txSeq, 0)}?root=${at(prepared.roots, 0)}`,
        { 'content-type': 'application/octet-stream' },
        Uint8Array.from(at(prepared.shards, 0)),
      ],
      [
        'PUT',
        `${url}/v1/deals/${txSeq}/custody`,
        { 'content-type': 'application/json' },
        JSON.stringify(proposal),
      ],
      [
        'POST',
        `${url}/v1/deals/${txSeq}/sign`,
        { 'content-type': 'application/json' },
        JSON.stringify({ custodyRoot: proposal.custodyRoot }),
      ],
    ]
    const answers: string[] = []
    for (const [method, target, headers, body] of requests) {
      const response = await fetch(target, {
        method,
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
        body,
      })
      const text = await response.text()
      const code = response.ok ? '' : (JSON.parse(text) as { error: { code: string } }).error.code
      answers.push(`${response.status} ${code}`.trim())
    }
    return answers
  }

  const everywhere = (answer: string) => [answer, answer, answer]
  const refused = async (name: string, header: string | undefined, answer: string) =>
    assert.deepEqual(await write(header), everywhere(answer), name)
  const storesNothing = () => {
    const [agent] = agents
    assert.deepEqual(agent?.context.shards.list(txSeq), [])
    const { custodyRoot } = proposalOf(prepared, assign(prepared, world.providers))
    assert.equal(agent?.context.book.proposal(txSeq, custodyRoot), undefined)
  }

  it('error: no header, or one that is malformed', async () => {
    const good = await permit(OWNER, wanted)
    const [, address = '', until = '', signature = ''] = good.split(' ')
    await refused('missing', undefined, '401 UNAUTHORIZED')
    await refused('empty', '', '401 UNAUTHORIZED')
    await refused('another scheme', 'Bearer abc', '401 UNAUTHORIZED')
    const parts: Record<string, string[]> = {
      'no hex in the address': [`0x${'g'.repeat(40)}`, until, signature],
      'a short address': [address.slice(0, -1), until, signature],
      'no hex in the signature': [address, until, `${signature.slice(0, -1)}z`],
      'a short signature': [address, until, signature.slice(0, -2)],
      'a signature of zeros': [address, until, `0x${'0'.repeat(130)}`],
      'a time that is no number': [address, 'soon', signature],
      'a negative time': [address, `-${until}`, signature],
      'a part too many': [address, until, signature, 'x'],
    }
    for (const [name, words] of Object.entries(parts)) {
      await refused(name, `ZeroG ${words.join(' ')}`, '401 UNAUTHORIZED')
    }
    storesNothing()
  })

  it('error: expired, too far ahead, for another chain, submission or action, or in another name', async () => {
    await refused('expired', await permit(OWNER, wanted, nowSec() - 1), '401 UNAUTHORIZED')
    const far = nowSec() + MAX_PERMISSION_SEC.write + SLACK_SEC
    await refused('too far ahead', await permit(OWNER, wanted, far), '401 UNAUTHORIZED')
    const others: Record<string, Permission> = {
      'another chain': { action: 'write', chainId: CHAIN_ID + 1n, txSeq },
      'another submission': { action: 'write', chainId: CHAIN_ID, txSeq: txSeq + 1n },
      'to read': { action: 'read', chainId: CHAIN_ID, txSeq },
    }
    for (const [name, other] of Object.entries(others)) {
      await refused(name, await permit(OWNER, other), '401 UNAUTHORIZED')
    }
    const forged = (await permit(stranger, wanted)).replace(stranger.address, OWNER.address)
    await refused("in the owner's name", forged, '401 UNAUTHORIZED')
    storesNothing()
  })

  it('error: a stranger, and a provider that is to keep shards', async () => {
    await refused('stranger', await permit(stranger, wanted), '403 FORBIDDEN')
    await refused('provider', await permit(world.provider(0).wallet, wanted), '403 FORBIDDEN')
    storesNothing()
  })

  it("default: the owner writes, until the last second that is allowed; anyone sees an upload's progress", async () => {
    const keepers = assign(prepared, world.providers)
    await putShards(txSeq, prepared, keepers)
    const latest = nowSec() + MAX_PERMISSION_SEC.write - SLACK_SEC
    const header = await permit(OWNER, wanted, latest)
    for (const provider of world.providers.slice(1)) {
      const response = await fetch(`${provider.url}/v1/deals/${txSeq}/custody`, {
        method: 'PUT',
        headers: { authorization: header, 'content-type': 'application/json' },
        body: JSON.stringify(proposalOf(prepared, keepers)),
      })
      assert.equal(response.status, 200)
    }
    assert.deepEqual(await write(header), everywhere('200'))
    assert.deepEqual(
      await write(header.replace(OWNER.address, OWNER.address.toLowerCase())),
      everywhere('200'),
    )
    const head = await fetch(shardUrl(world.provider(0), txSeq, 0), { method: 'HEAD' })
    assert.equal(head.headers.get('upload-complete'), '?1')
  })

  it("behavior: the owner's sealer writes while it is named on chain, and no longer", async () => {
    const other = prepareRandom(9_000, 52)
    const seq = await submit(world, other)
    const sealer = new Wallet(Wallet.createRandom().privateKey)
    const header = await permit(sealer, { action: 'write', chainId: CHAIN_ID, txSeq: seq })
    const put = async (index: number) => {
      const target = `${shardUrl(world.provider(1), seq, index)}?root=${at(other.roots, index)}`
      const body = Buffer.from(at(other.shards, index))
      const response = await fetch(target, { method: 'PUT', headers: { authorization: header }, body })
      await response.arrayBuffer()
      return response.status
    }
    assert.equal(await put(0), 403)
    await world.send(world.owner, setSealerCall(world.chain, sealer.address))
    await until('the provider has seen the sealer', async () => (await put(0)) === 200)
    await world.send(world.owner, setSealerCall(world.chain, ZeroAddress))
    await until('the provider has seen that nobody is', async () => (await put(0)) === 403)
    assert.equal(await put(1), 403)
    const held = agents[1]?.context.shards.list(seq).map(({ index }) => index)
    assert.deepEqual(held, [0])
  })

  it('behavior: a shard is not replaced by whom the owner did not allow', async () => {
    const own = prepareRandom(9_000, 53)
    const seq = await submit(world, own)
    const ref = { txSeq: seq, index: 0, root: at(own.roots, 0), shard: at(own.shards, 0) }
    assert.equal((await putChunk(world.provider(2), ref)).status, 200)
    const root = at(own.roots, 1)
    const response = await fetch(`${shardUrl(world.provider(2), seq, 0)}?root=${root}`, {
      method: 'PUT',
      headers: { authorization: await permit(stranger, { action: 'write', chainId: CHAIN_ID, txSeq: seq }) },
      body: Buffer.from(at(own.shards, 1)),
    })
    assert.equal(response.status, 403)
    const head = await fetch(shardUrl(world.provider(2), seq, 0), { method: 'HEAD' })
    assert.equal(head.headers.get('shard-root'), ref.root)
  })
})
