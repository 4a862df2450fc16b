import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openVoucherBook } from '../../../agents/compute/voucher-book.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import type { Voucher } from '../../../sdk/protocol/voucher.ts'
import { tempDir } from '../../support/temp-dir.ts'

const USER = `0x${'a1'.repeat(20)}`
const ROOT = `0x${'11'.repeat(32)}`
const SERVICE = { inputPriceWei: 10n, outputPriceWei: 20n, manifestRoot: ROOT }
const inSec = (seconds: number) => BigInt(Math.floor(Date.now() / 1000) + seconds)
const voucher = (change: Partial<Voucher> = {}): Voucher => ({
  ...{ user: USER, provider: `0x${'b0'.repeat(20)}`, ceilingWei: 100n, modelRoot: ROOT },
  ...{ inputPriceWei: 10n, outputPriceWei: 20n, validUntilSec: inSec(3600) },
  ...change,
})

describe('voucherBook', () => {
  const ceilingWith = (change: Partial<Voucher>, service = SERVICE) => {
    const book = openVoucherBook(openStore(join(tempDir(), 'agent.sqlite')), { spareSec: 600 })
    book.keep({ voucher: voucher(change), signature: '0x' })
    return book.ceilingWei(USER, 30n, service)
  }

  it('default: the higher ceiling counts, of the chain or of a voucher', () => {
    assert.equal(ceilingWith({}), 100n)
    assert.equal(ceilingWith({ ceilingWei: 20n }), 30n)
  })

  it('behavior: a voucher that the contract would not take any more does not count', () => {
    assert.equal(ceilingWith({ validUntilSec: inSec(590) }), 30n, 'it may expire before it is posted')
    assert.equal(ceilingWith({}, { ...SERVICE, inputPriceWei: 11n }), 30n, 'the service became dearer')
    assert.equal(ceilingWith({}, { ...SERVICE, manifestRoot: `0x${'22'.repeat(32)}` }), 30n, 'another model')
    assert.equal(ceilingWith({ modelRoot: `0x${'00'.repeat(32)}` }), 100n, 'any model')
  })

  it('behavior: one that ends soon is replaced by the same for longer, and by nothing worse', () => {
    const book = openVoucherBook(openStore(join(tempDir(), 'agent.sqlite')), { spareSec: 600 })
    const keep = (change: Partial<Voucher>) => book.keep({ voucher: voucher(change), signature: '0x' })
    assert.ok(keep({ validUntilSec: inSec(590) }))
    assert.equal(book.ceilingWei(USER, 30n, SERVICE), 30n)
    assert.ok(!keep({ outputPriceWei: 19n }), 'at lower prices')
    assert.ok(!keep({ validUntilSec: inSec(580) }), 'for less long')
    assert.ok(!keep({ ceilingWei: 99n }), 'for less')
    assert.ok(keep({}))
    assert.equal(book.ceilingWei(USER, 30n, SERVICE), 100n)
  })
})
