import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { id, toBeHex } from 'ethers'
import { openBlobIndex } from '../../../agents/da/blob-index.ts'
import type { ChainLog } from '../../../agents/kernel/rpc.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import type { AddressBook } from '../../../sdk/chain/address-book.ts'
import { headerStruct } from '../../../sdk/chain/da.ts'
import type { BlobHeader } from '../../../sdk/protocol/blob-header.ts'
import { blobIdOf } from '../../../sdk/protocol/blob-header.ts'
import { IDataAvailability__factory } from '../../../typechain-types/factories/interfaces/index.js'
import { tempDir } from '../../support/temp-dir.ts'

const DA = `0x${'da'.repeat(20)}`
const SELF = toBeHex(0xa11ce, 20)
const OTHER = toBeHex(0xb0b, 20)
const CLOCK = { startBlock: 0n, periodBlocks: 10n, bucketPeriods: 1n }
const FINAL = 3
const abi = IDataAvailability__factory.createInterface()

type Blob = { by?: string; blobCount?: number; payload?: string; isConfirmed?: boolean; expiresAt?: bigint }

/** An index that has read the logs of these blobs, one in each block. */
function indexOf(blobs: readonly Blob[]) {
  const store = openStore(join(tempDir(), 'da.sqlite'))
  const index = openBlobIndex(store)
  const book = {
    deployedAtBlock: 0,
    contracts: { DataAvailability: { address: DA } },
  } as unknown as AddressBook
  const logs: ChainLog[] = []
  const ids = blobs.map((blob, i) => {
    const { by = OTHER, blobCount = 1, payload = `payload ${i}`, isConfirmed = true, expiresAt = 90n } = blob
    const header: BlobHeader = {
      ...{
        version: 1,
        chainId: 1n,
        da: DA,
        disperser: by,
        epoch: 0n,
        nonce: BigInt(i),
        blobCount,
        expiresAt,
      },
      ...{ payloadBytes: blobCount, payloadHash: id(payload), commitmentsRoot: id('c'), cellsRoot: id('d') },
    }
    const blobId = blobIdOf(header)
    const add = (name: 'BlobSubmitted' | 'BlobConfirmed', args: unknown[]) => {
      const { topics, data } = abi.encodeEventLog(name, args)
      const place = {
        blockNumber: i,
        blockHash: id(`${i}`),
        transactionHash: id(`tx ${i}`),
        transactionIndex: 0,
      }
      logs.push({ address: DA, topics, data, ...place, logIndex: logs.length })
    }
    add('BlobSubmitted', [blobId, by, by, i + 1, headerStruct(header), 1n])
    if (isConfirmed) add('BlobConfirmed', [blobId, FINAL, 1n, 1n, '0x'])
    return blobId
  })
  store.transaction((tx) => index.follower(book).onLogs(logs, tx, { fromBlock: 0, toBlock: blobs.length }))
  return { index, ids }
}

const idsOf = (found: readonly { blobId: string }[]) => found.map(({ blobId }) => blobId)
const many = (blob: Blob): Blob[] => Array.from({ length: 100 }, () => blob)

describe('openBlobIndex', () => {
  it('behavior: blobs that nobody confirms or that are worth nothing do not hide those to be claimed', () => {
    const { index, ids } = indexOf([...many({ isConfirmed: false }), ...many({}), { blobCount: 50 }])
    const query = { after: 0, period: 100n, clock: CLOCK }
    assert.deepEqual(idsOf(index.unclaimed({ ...query, leastBlobPeriods: 3500n })), ids.slice(-1))
    assert.deepEqual(index.unclaimed({ ...query, leastBlobPeriods: 3500n, period: 89n }), [])
    // All that is worth something comes page by page.
    const first = index.unclaimed({ ...query, leastBlobPeriods: 0n })
    const second = index.unclaimed({ ...query, leastBlobPeriods: 0n, after: first.at(-1)?.number ?? 0 })
    assert.deepEqual(idsOf([...first, ...second]), ids.slice(100))
  })

  it('behavior: what others leave unconfirmed does not hide what is to be refunded', () => {
    const { index, ids } = indexOf([...many({ isConfirmed: false }), { by: SELF, isConfirmed: false }])
    assert.deepEqual(idsOf(index.unconfirmed(SELF, 1000)), ids.slice(-1))
    assert.deepEqual(index.unconfirmed(SELF, 100), [])
  })

  it('behavior: claims of a hash that nobody confirms or that have expired do not hide the blob that has it', () => {
    const payload = 'wanted'
    const unconfirmed = many({ payload, isConfirmed: false, expiresAt: 1000n })
    const { index, ids } = indexOf([...many({ payload }), ...unconfirmed, { payload, expiresAt: 500n }])
    assert.deepEqual(idsOf(index.claiming(id(payload), 100n)), ids.slice(-1))
  })
})
