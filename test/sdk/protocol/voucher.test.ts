import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Wallet, ZeroHash } from 'ethers'
import {
  type InferenceMessage,
  inferenceDigest,
  inferenceDomain,
  inferenceSigner,
  signInferenceMessage,
} from '../../../sdk/protocol/voucher.ts'

const wallet = new Wallet(`0x${'11'.repeat(32)}`)
const provider = `0x${'22'.repeat(20)}`
const domain = inferenceDomain(31_337n, `0x${'33'.repeat(20)}`)
const voucher: InferenceMessage = {
  type: 'Voucher',
  message: {
    user: wallet.address,
    provider,
    ceilingWei: 10n,
    inputPriceWei: 2n,
    outputPriceWei: 3n,
    modelRoot: ZeroHash,
    validUntilSec: 1_800_000_000n,
  },
}
const messages: InferenceMessage[] = [
  voucher,
  { type: 'Release', message: { user: wallet.address, amountWei: 1n, nonce: 2n, validUntilSec: 3n } },
  {
    type: 'TEESettlement',
    message: { requestsHash: ZeroHash, nonce: 1n, provider, user: wallet.address, totalFee: 5n },
  },
]

describe('signInferenceMessage', () => {
  it('default: the signer is found again, for every kind of message', async () => {
    for (const message of messages) {
      const signature = await signInferenceMessage(wallet, domain, message)
      assert.equal(inferenceSigner(domain, message, signature), wallet.address)
    }
    assert.equal(new Set(messages.map((message) => inferenceDigest(domain, message))).size, messages.length)
  })

  it('behavior: another chain, contract or amount is another digest', () => {
    const others = [
      inferenceDigest(inferenceDomain(1n, `0x${'33'.repeat(20)}`), voucher),
      inferenceDigest(inferenceDomain(31_337n, provider), voucher),
      inferenceDigest(domain, { type: 'Voucher', message: { ...voucher.message, ceilingWei: 11n } }),
    ]
    assert.ok(!others.includes(inferenceDigest(domain, voucher)))
  })

  it('error: a malformed signature', () => {
    assert.throws(() => inferenceSigner(domain, voucher, '0x1234'), { code: 'UNAUTHORIZED' })
  })

  it('error: a signature that recovers, in a form that the contract refuses: nobody could collect on it', async () => {
    const wallet = Wallet.createRandom()
    const signature = await signInferenceMessage(wallet, domain, voucher)
    const parity = signature.endsWith('1c') ? '01' : '00'
    const spelled = `${signature.slice(0, -2)}${parity}`
    assert.throws(() => inferenceSigner(domain, voucher, spelled), { code: 'UNAUTHORIZED' })
  })
})
