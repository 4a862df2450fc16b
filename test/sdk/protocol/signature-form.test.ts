import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasContractForm } from '../../../sdk/protocol/signature-form.ts'

describe('hasContractForm', () => {
  it('takes v of 27 and 28 in either case, and nothing else', () => {
    const rs = `0x${'ab'.repeat(64)}`
    for (const v of ['1b', '1c', '1B', '1C']) assert.ok(hasContractForm(`${rs}${v}`))
    for (const v of ['00', '01', '1a', '1d', '24', '25', '', '1b1b']) assert.ok(!hasContractForm(`${rs}${v}`))
    assert.ok(!hasContractForm(`${'ab'.repeat(64)}1b`))
  })
})
