import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { storeAFile } from '../../../sdk/examples/store-a-file.ts'
import { randomBytes } from '../../support/content.ts'
import { type StorageNetwork, startStorageNetwork } from '../client/storage-network.ts'

describe('storeAFile', () => {
  let network: StorageNetwork
  before(async () => {
    network = await startStorageNetwork({ providers: 3 })
  })
  after(() => network.stop())

  it('runs as it stands', async () => {
    const bytes = randomBytes(200, 5)
    const result = await storeAFile({
      rpcUrl: network.anvil.rpcUrl,
      addressBook: JSON.parse(readFileSync(network.bookFile, 'utf8')),
      privateKey: network.account(3).privateKey,
      bytes,
    })
    assert.deepEqual(result.bytes, bytes)
    assert(result.totalWei > 0n)
  })
})
