import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openSigningGuard } from '../../../agents/da/signing-guard.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { type BlobHeader, blobIdOf } from '../../../sdk/protocol/blob-header.ts'
import { tempDir } from '../../support/temp-dir.ts'

const ADDRESS = '0x00000000000000000000000000000000000000A1'
const hash = (byte: string) => `0x${byte.repeat(32)}`

const headerOf = (change: Partial<BlobHeader> = {}): BlobHeader => ({
  version: 1,
  chainId: 31_337n,
  da: ADDRESS,
  disperser: ADDRESS,
  epoch: 3n,
  nonce: 7n,
  blobCount: 1,
  payloadBytes: 10,
  payloadHash: hash('aa'),
  commitmentsRoot: hash('bb'),
  cellsRoot: hash('cc'),
  expiresAt: 40n,
  ...change,
})

describe('openSigningGuard', () => {
  it('default: a nonce belongs to the first blob that is attested under it, also after a restart', () => {
    const path = join(tempDir(), 'guard.sqlite')
    const header = headerOf()
    const rival = headerOf({ cellsRoot: hash('dd') })
    const store = openStore(path)
    const guard = openSigningGuard(store)
    assert.equal(guard.attested(header), undefined)
    guard.attest(header)
    guard.attest(header)
    assert.throws(() => guard.attest(rival), { code: 'DA_EQUIVOCATION' })
    store.close()
    const again = openStore(path)
    const reopened = openSigningGuard(again)
    assert.equal(reopened.attested(rival), blobIdOf(header))
    assert.throws(() => reopened.attest(rival), { code: 'DA_EQUIVOCATION' })
    reopened.attest(header)
    again.close()
  })

  it('behavior: another epoch, nonce or disperser is another promise; the case of an address is not', () => {
    const guard = openSigningGuard(openStore(':memory:'))
    guard.attest(headerOf())
    guard.attest(headerOf({ epoch: 4n }))
    guard.attest(headerOf({ nonce: 2n ** 64n - 1n }))
    guard.attest(headerOf({ disperser: ADDRESS.replace('A1', 'b2') }))
    const rival = headerOf({ disperser: ADDRESS.toLowerCase(), cellsRoot: hash('dd') })
    assert.throws(() => guard.attest(rival), { code: 'DA_EQUIVOCATION' })
  })

  it('behavior: own nonces rise with the clock and are never taken twice, also over a restart with the clock set back', () => {
    const path = join(tempDir(), 'guard.sqlite')
    const store = openStore(path)
    const guard = openSigningGuard(store, () => 1_000)
    const first = guard.bind((nonce) => headerOf({ nonce }))
    const second = guard.bind((nonce) => headerOf({ nonce, epoch: 9n }))
    assert.deepEqual([first.nonce, second.nonce], [1_024_000n, 1_024_001n])
    assert.throws(() =>
      guard.bind(() => {
        throw new Error('no header')
      }),
    )
    store.close()
    const again = openStore(path)
    const reopened = openSigningGuard(again, () => 999)
    const third = reopened.bind((nonce) => headerOf({ nonce }))
    assert.equal(third.nonce, 1_024_002n)
    assert.deepEqual(reopened.ownHeader(blobIdOf(second)), second)
    assert.equal(reopened.ownHeader(hash('ee')), undefined)
    again.close()
  })

  it('behavior: a folder restored from a backup takes no nonce that was used since', () => {
    const folder = tempDir()
    const path = join(folder, 'guard.sqlite')
    const backup = join(folder, 'backup.sqlite')
    const nonceAt = (file: string, nowMs: number) => {
      const store = openStore(file)
      const { nonce } = openSigningGuard(store, () => nowMs).bind((nonce) => headerOf({ nonce }))
      store.close()
      return nonce
    }
    nonceAt(path, 1_000)
    copyFileSync(path, backup)
    const since = nonceAt(path, 2_000)
    assert.ok(nonceAt(backup, 3_000) > since)
  })
})
