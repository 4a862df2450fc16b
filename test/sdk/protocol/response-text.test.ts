import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Wallet } from 'ethers'
import { parseResponseText, responseSigner, responseText } from '../../../sdk/protocol/response-text.ts'

const hashes = { requestSha256: 'ab'.repeat(32), responseSha256: '01'.repeat(32) }

describe('responseText', () => {
  it('default: two hashes in lower case', () => {
    const text = responseText({ ...hashes, requestSha256: 'AB'.repeat(32) })
    assert.equal(text, `${'ab'.repeat(32)}:${'01'.repeat(32)}`)
    assert.deepEqual(parseResponseText(text), hashes)
    assert.deepEqual(parseResponseText(`${text}:more`), hashes)
  })

  it('error: other texts', () => {
    for (const text of [
      '',
      ':',
      'ab:01',
      `${'AB'.repeat(32)}:${'01'.repeat(32)}`,
      `${'ab'.repeat(32)}:${'01'.repeat(33)}`,
    ])
      assert.equal(parseResponseText(text), undefined)
  })

  it('behavior: names its signer', async () => {
    const wallet = new Wallet(`0x${'11'.repeat(32)}`)
    const text = responseText(hashes)
    assert.equal(responseSigner(text, await wallet.signMessage(text)), wallet.address)
    assert.equal(responseSigner(text, '0x00'), undefined)
  })
})
