import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { signerSender } from '../../../sdk/chain/send.ts'
import { readSealTerms } from '../../../sdk/chain/storage.ts'
import { collectCustody } from '../../../sdk/client/collect-custody.ts'
import { custodyPlan } from '../../../sdk/client/custody-plan.ts'
import { downloadFile } from '../../../sdk/client/download.ts'
import { memorySink } from '../../../sdk/client/file-sink.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { askProviders, findCandidates } from '../../../sdk/client/find-candidates.ts'
import { paySubmission } from '../../../sdk/client/pay-submission.ts'
import { createPlacement } from '../../../sdk/client/place-shards.ts'
import { type PreparedFile, prepareFile } from '../../../sdk/client/prepare.ts'
import { quoteUpload } from '../../../sdk/client/price.ts'
import { sealDeal } from '../../../sdk/client/seal-deal.ts'
import { memoryStateStore } from '../../../sdk/client/state-store.ts'
import { canSign, createWritePermission } from '../../../sdk/client/write-permission.ts'
import { referenceErasure } from '../../../sdk/protocol/erasure.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { shardBytes } from '../../../sdk/protocol/layout.ts'
import { merkleRoot } from '../../../sdk/protocol/merkle.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type StorageNetwork, startStorageNetwork } from './storage-network.ts'

/** One sector in 4096 is wrong: the samples of the custodians hardly ever meet it. */
const BYTE_LENGTH = 8_200_000

describe('a deal whose uploader sent wrong parity', () => {
  let network: StorageNetwork
  before(async () => {
    network = await startStorageNetwork({ providers: 6, env: { PARITY_SAMPLES: '1' } })
  })
  after(() => network.stop())

  it('reads back while the data is there, and never gives wrong bytes when it is not', async () => {
    const { chain } = network
    const bytes = randomBytes(BYTE_LENGTH, 9)
    const { prepared, shards } = await badlyEncoded(bytes)
    const quote = await quoteUpload(chain, { byteLength: BYTE_LENGTH })
    const sender = await signerSender(chain, network.account(3))
    assert(canSign(sender))
    const context = { chain, sender, stateStore: memoryStateStore() }
    const { txSeq } = await paySubmission(context, { prepared, quote })
    const length = shardBytes(prepared.layout)
    const { sectorPriceWei } = await readSealTerms(chain, txSeq)
    const authorize = createWritePermission(context, txSeq)
    const placement = createPlacement({
      txSeq,
      prepared,
      reader: {
        shardBytes: length,
        windowBytes: 2 ** 19,
        read: async (index, offset) => at(shards, index).subarray(offset, offset + 2 ** 19),
      },
      ...findCandidates(await askProviders(chain), { txSeq, shardBytes: length, sectorPriceWei, authorize }),
      limit: 4,
      spare: 0,
      assertUnchanged: async () => undefined,
      onBytes: () => undefined,
      onReplace: (operator, error) => assert.fail(`${operator}: ${error}`),
    })
    await placement.send()
    const plan = custodyPlan(placement.assignment(), prepared.shardRoots)
    const collected = await collectCustody(chain, { txSeq, prepared, plan, clientOf: placement.clientOf })
    assert.deepEqual([...collected.failures.values()], [])
    const { custodians } = collected
    assert.equal((await sealDeal(context, { txSeq, prepared, plan, custodians })).kind, 'sealed')

    const whole = memorySink()
    await downloadFile({ chain, txSeq, sink: whole })
    assert.deepEqual(whole.bytes(), bytes)

    const holder = plan.shards[0]?.provider
    await network.providers.find(({ address }) => address === holder)?.stop()
    for (const range of [undefined, { start: 0, end: 100 }]) {
      const sink = memorySink()
      const options = { chain, txSeq, sink, ...(range === undefined ? {} : { range }) }
      await assert.rejects(downloadFile(options), { code: 'ROOT_MISMATCH' })
      assert.equal(sink.bytes().length, 0)
    }
  })
})

/** A file as prepared, but with one wrong sector at the same place of all parity shards. */
async function badlyEncoded(bytes: Uint8Array): Promise<{ prepared: PreparedFile; shards: Uint8Array[] }> {
  const hasher = await loadHasher()
  const prepared = await prepareFile({ source: bytesSource(bytes), parityShards: 8 })
  const { layout, parityShards } = prepared
  const length = shardBytes(layout)
  const data = Array.from({ length: layout.dataShards }, (_, index) => {
    const shard = new Uint8Array(length)
    shard.set(bytes.subarray(index * length, (index + 1) * length))
    return shard
  })
  const lied = data.map((shard) => shard.slice())
  at(lied, 0).fill(0xee, 256_000, 256_256)
  const parity = referenceErasure.encode(lied, parityShards)
  const shardRoots = [...data, ...parity].map((shard) => toHex(merkleRoot(hasher, shard)))
  return { prepared: { ...prepared, shardRoots }, shards: [...data, ...parity] }
}
