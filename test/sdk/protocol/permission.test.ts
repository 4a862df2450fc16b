import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Wallet } from 'ethers'
import {
  formatPermission,
  parsePermission,
  permissionText,
  textSigner,
} from '../../../sdk/protocol/permission.ts'

const wallet = new Wallet(`0x${'11'.repeat(32)}`)

describe('permissionText', () => {
  it('default: names action, chain, submission and end', () => {
    const read = { action: 'read', chainId: 16_601n, txSeq: 12n } as const
    assert.equal(permissionText(read, 1_800_000_000), 'zerog read 16601 12 1800000000')
    const write = { action: 'write', chainId: 16_601n, txSeq: 12n } as const
    assert.equal(permissionText(write, 1_800_000_000), 'zerog write 16601 12 1800000000')
  })
})

describe('parsePermission', () => {
  it('default: takes what formatPermission gives', async () => {
    const text = permissionText({ action: 'write', chainId: 1n, txSeq: 0n }, 1_800_000_000)
    const signature = await wallet.signMessage(text)
    const signed = { address: wallet.address, validUntilSec: 1_800_000_000, signature }
    assert.deepEqual(parsePermission(formatPermission(signed)), signed)
    assert.equal(textSigner(text, signature), wallet.address)
  })

  it('error: anything else', () => {
    const good = `ZeroG ${wallet.address} 1800000000 0x${'ab'.repeat(65)}`
    assert.equal(parsePermission(good).validUntilSec, 1_800_000_000)
    for (const header of [
      '',
      'ZeroG',
      good.toLowerCase(),
      good.replace('ZeroG', 'Bearer'),
      good.replace(' 1800000000', ''),
      good.replace('1800000000', '1e9'),
      good.replace('1800000000', '1800000000000'),
      `${good} `,
      `${good}ab`,
      good.slice(0, -1),
    ]) {
      assert.throws(() => parsePermission(header), { code: 'UNAUTHORIZED' }, header)
    }
  })
})

describe('textSigner', () => {
  it('error: a malformed signature', () => {
    for (const signature of ['0x', `0x${'00'.repeat(65)}`, `0x${'ff'.repeat(65)}`, 'nonsense']) {
      assert.throws(() => textSigner('text', signature), { code: 'UNAUTHORIZED' }, signature)
    }
  })
})
