import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Wallet } from 'ethers'
import { readDealState } from '../../../sdk/chain/storage.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { fromHex } from '../../../sdk/protocol/hex.ts'
import { merkleRoot, verifyMerkleProof } from '../../../sdk/protocol/merkle.ts'
import { marketDomain, verifyStorageMessage } from '../../../sdk/protocol/typed-data.ts'
import { at } from '../../support/content.ts'
import { type StorageAgent, type StorageWorld, startWorld } from './storage-world.ts'
import {
  askToSign,
  assign,
  collectSignatures,
  makeDeal,
  ownerPermit,
  permit,
  prepareRandom,
  proposalOf,
  propose,
  putChunk,
  putShards,
  shardUrl,
  submit,
} from './upload-deal.ts'

const hasher = await loadHasher()

describe('storage API', () => {
  let world: StorageWorld
  let agents: StorageAgent[]

  before(async () => {
    world = await startWorld()
    agents = await Promise.all(world.providers.map((provider) => provider.start()))
  })
  after(() => world.stop())

  it('default: shards go in, signatures come out, the chain seals, everyone reads', async () => {
    const prepared = prepareRandom(3_000_000, 3)
    const { txSeq, keepers, proposal, signed } = await makeDeal(world, prepared)
    assert.equal(await readDealState(world.chain, txSeq), 'sealed')
    await world.settle(agents)
    for (const [index, shard] of prepared.shards.entries()) {
      const response = await fetch(shardUrl(at(keepers, index), txSeq, index))
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('shard-root'), at(prepared.roots, index))
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(shard))
    }

    const url = shardUrl(at(keepers, 2), txSeq, 2)
    const shard = at(prepared.shards, 2)
    const part = await fetch(url, { headers: { range: 'bytes=1000-1999' } })
    assert.equal(part.status, 206)
    assert.equal(part.headers.get('content-range'), `bytes 1000-1999/${shard.length}`)
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(shard.subarray(1000, 2000)))
    const tail = await fetch(url, { headers: { range: 'bytes=-5' } })
    assert.ok(Buffer.from(await tail.arrayBuffer()).equals(shard.subarray(-5)))

    for (const height of [0, 3, undefined]) {
      const query = height === undefined ? '' : `?height=${height}`
      const response = await fetch(`${url}/chunks/0${query}`, { headers: { origin: 'https://dapp.example' } })
      const chunk = new Uint8Array(await response.arrayBuffer())
      const flat = Buffer.from(response.headers.get('shard-path') ?? '', 'base64')
      const path = Array.from({ length: flat.length / 32 }, (_, i) => flat.subarray(i * 32, i * 32 + 32))
      const claim = { root: fromHex(at(prepared.roots, 2)), leaf: merkleRoot(hasher, chunk), index: 0, path }
      assert.ok(verifyMerkleProof(hasher, claim))
      assert.equal(path.length, Math.log2(shard.length / chunk.length))
      assert.match(response.headers.get('access-control-expose-headers') ?? '', /shard-path/)
    }

    const [several, ...single] = await Promise.all(
      ['1,0,5', '1', '0', '5'].map((list) => fetch(`${url}/chunks/${list}?height=0`)),
    )
    const bodies = await Promise.all(single.map(async (one) => Buffer.from(await one.arrayBuffer())))
    assert(several !== undefined)
    assert.deepEqual(Buffer.from(await several.arrayBuffer()), Buffer.concat(bodies))
    const paths = single.map((one) => Buffer.from(one.headers.get('shard-path') ?? '', 'base64'))
    assert.equal(several.headers.get('shard-path'), Buffer.concat(paths).toString('base64'))

    // The last chunk sent again, after the seal, is answered as before; so is the same signature on demand.
    const again = await putChunk(at(keepers, 2), { txSeq, index: 2, root: at(prepared.roots, 2), shard })
    assert.deepEqual(await again.json(), {
      offset: shard.length,
      total: shard.length,
      complete: true,
      root: at(prepared.roots, 2),
    })
    const late = await askToSign(at(keepers, 2), txSeq, proposal.custodyRoot)
    assert.equal(late.status, 409)
    assert.ok(signed.length === 6)
  })

  it('behavior: an upload in chunks is resumed where HEAD says, out of order it is told where', async () => {
    const prepared = prepareRandom(5_000_000, 4)
    const txSeq = await submit(world, prepared)
    const provider = world.provider(0)
    const ref = { txSeq, index: 17, root: at(prepared.roots, 17), shard: at(prepared.shards, 17) }
    assert.equal((await fetch(shardUrl(provider, txSeq, 17), { method: 'HEAD' })).status, 404)
    const first = await putChunk(provider, ref, { start: 0, end: 100_001 })
    assert.deepEqual(await first.json(), { offset: 100_001, total: ref.shard.length, complete: false })
    const head = await fetch(shardUrl(provider, txSeq, 17), { method: 'HEAD' })
    assert.equal(head.headers.get('upload-offset'), '100001')
    assert.equal(head.headers.get('upload-complete'), '?0')
    assert.equal(head.headers.get('shard-root'), ref.root)
    const gap = await putChunk(provider, ref, { start: 200_000, end: ref.shard.length })
    assert.equal(gap.status, 409)
    assert.deepEqual(((await gap.json()) as { error: { meta: unknown } }).error.meta, { offset: 100_001 })
    const rest = await putChunk(provider, ref, { start: 90_000, end: ref.shard.length })
    assert.equal(((await rest.json()) as { complete: boolean }).complete, true)
    const done = await fetch(shardUrl(provider, txSeq, 17), { method: 'HEAD' })
    assert.equal(done.headers.get('upload-complete'), '?1')
    const held = await fetch(`${provider.url}/v1/deals/${txSeq}`)
    assert.deepEqual(await held.json(), {
      txSeq: String(txSeq),
      state: 'submitted',
      shards: [
        { index: 17, root: ref.root, bytes: ref.shard.length, offset: ref.shard.length, complete: true },
      ],
    })
  })

  it('behavior: before the seal only a co-custodian with a fresh signature reads', async () => {
    const prepared = prepareRandom(40_000, 5)
    const keepers = assign(prepared, world.providers)
    const txSeq = await submit(world, prepared)
    await putShards(txSeq, prepared, keepers)
    const [keeper, other] = [at(keepers, 0), at(keepers, 1)]
    const wanted = { action: 'read', chainId: world.chain.chainId, txSeq } as const
    const read = async (authorization?: string) => {
      const response = await fetch(`${shardUrl(keeper, txSeq, 0)}/chunks/0`, {
        headers: authorization === undefined ? {} : { authorization },
      })
      const body = response.ok ? '' : ((await response.json()) as { error: { code: string } }).error.code
      return `${response.status} ${body}`.trim()
    }
    const header = await permit(other.wallet, wanted)
    assert.equal(await read(), '403 NOT_SEALED')
    assert.equal(await read(header), '403 NOT_SEALED')
    const proposal = proposalOf(prepared, keepers)
    assert.equal((await propose(keeper, txSeq, proposal)).status, 200)
    assert.equal(await read(header), '200')
    const stranger = Wallet.createRandom()
    const strange = await permit(new Wallet(stranger.privateKey), wanted)
    assert.equal(await read(strange), '403 NOT_SEALED')
    const expired = await permit(other.wallet, wanted, 1_000_000_000)
    assert.equal(await read(expired), '401 UNAUTHORIZED')
    const endless = await permit(other.wallet, wanted, 99_999_999_999)
    assert.equal(await read(endless), '401 UNAUTHORIZED')
    const forged = header.replace(other.wallet.address, at(keepers, 2).wallet.address)
    assert.equal(await read(forged), '401 UNAUTHORIZED')
    const elsewhere = await permit(other.wallet, { ...wanted, txSeq: txSeq + 1n })
    assert.equal(await read(elsewhere), '401 UNAUTHORIZED')
    assert.equal(await read('Bearer abc'), '401 UNAUTHORIZED')
  })

  it('behavior: a signature is the EIP-712 Custody of all own shards, and comes again on demand', async () => {
    const prepared = prepareRandom(70_000, 6)
    const keepers = assign(prepared, world.providers)
    const txSeq = await submit(world, prepared)
    await putShards(txSeq, prepared, keepers)
    const proposal = proposalOf(prepared, keepers)
    const signed = await collectSignatures(txSeq, proposal, keepers)
    const again = await collectSignatures(txSeq, proposal, keepers)
    assert.deepEqual(again, signed)
    const { digest } = await world.chain.contracts.flow.submission(txSeq)
    const bitmap = signed.reduce((sum, offer) => sum | BigInt(offer.shardBitmap), 0n)
    assert.equal(bitmap, (1n << BigInt(prepared.shards.length)) - 1n)
    const domain = marketDomain(world.chain.chainId, world.chain.book.contracts.StorageMarket.address)
    for (const offer of signed) {
      const message = {
        txSeq,
        digest,
        custodyRoot: proposal.custodyRoot,
        shardBitmap: BigInt(offer.shardBitmap),
        ratePerPeriod: BigInt(offer.ratePerPeriod),
        expiresAt: BigInt(offer.expiresAt),
        validUntil: BigInt(offer.validUntil),
      }
      verifyStorageMessage(
        domain,
        { type: 'Custody', message },
        { signer: offer.provider, signature: offer.signature },
      )
      assert.ok(message.ratePerPeriod > 0n)
    }

    // Asked for many times at once it is made once or twice: each takes reads of the chain and of others.
    const provider = at(keepers, 0)
    const made = async () => {
      const text = await (await fetch(`${provider.url}/metrics`)).text()
      return Number(/^zerog_storage_custody_signed_total\S* (\d+)$/m.exec(text)?.[1])
    }
    const before = await made()
    const request = {
      method: 'POST',
      headers: { authorization: await ownerPermit(txSeq), 'content-type': 'application/json' },
      body: JSON.stringify({ custodyRoot: proposal.custodyRoot }),
    }
    const url = `${provider.url}/v1/deals/${txSeq}/sign`
    const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(url, request)))
    for (const { status } of answers) assert.equal(status, 200)
    assert.ok((await made()) - before < answers.length)
  })

  it('behavior: info and the list of deals say what is held', async () => {
    const provider = world.provider(0)
    const info = (await (await fetch(`${provider.url}/v1/info`)).json()) as Record<string, unknown>
    assert.equal(info.service, 'storage')
    assert.equal(info.operator, provider.wallet.address)
    assert.equal(info.market, world.chain.book.contracts.StorageMarket.address)
    assert.equal(info.chainId, '31337')
    assert.ok(Number(info.freeBytes) < Number(info.capacityBytes))
    const list = (await (await fetch(`${provider.url}/v1/deals`)).json()) as { deals: { txSeq: string }[] }
    assert.ok(list.deals.length > 0)
    const last = at(list.deals, -1).txSeq
    const rest = (await (await fetch(`${provider.url}/v1/deals?cursor=${last}`)).json()) as typeof list
    assert.deepEqual(
      rest.deals.map(({ txSeq }) => txSeq),
      [last],
    )
    const preflight = await fetch(`${provider.url}/v1/shards/0/0`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://dapp.example',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'authorization,content-range,content-type',
      },
    })
    assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /authorization/)
    assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /PUT/)
    const status = (await (await fetch(`${provider.url}/status`)).json()) as { problems: string[] }
    assert.deepEqual(status.problems, [])
    const metrics = await (await fetch(`${provider.url}/metrics`)).text()
    assert.match(metrics, /zerog_storage_shards\{state="complete",agent="storage"\} \d+/)
  })
})
