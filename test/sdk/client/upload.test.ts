import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { downloadFile } from '../../../sdk/client/download.ts'
import { memorySink } from '../../../sdk/client/file-sink.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { uploadFile } from '../../../sdk/client/upload.ts'
import { randomBytes } from '../../support/content.ts'
import { type StorageNetwork, startStorageNetwork } from './storage-network.ts'

describe('uploadFile and downloadFile', () => {
  let network: StorageNetwork
  before(async () => {
    network = await startStorageNetwork()
  })
  after(() => network.stop())

  for (const byteLength of [1, 255, 256, 257, 4097, 262_145, 3_000_000]) {
    it(`brings ${byteLength} bytes back`, async () => {
      const bytes = randomBytes(byteLength, byteLength)
      const t = performance.now()
      const result = await uploadFile({ chain: network.chain, source: bytesSource(bytes) })
      const t1 = performance.now()
      const sink = memorySink()
      const got = await downloadFile({ chain: network.chain, root: result.root, sink })
      console.log(result, got, t1 - t, performance.now() - t1)
      assert.deepEqual(sink.bytes(), bytes)
    })
  }
})
