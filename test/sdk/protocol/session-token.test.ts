import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Wallet } from 'ethers'
import {
  createSessionToken,
  formatSessionToken,
  parseSessionToken,
  type SessionToken,
  sessionTokenFault,
  verifySessionToken,
} from '../../../sdk/protocol/session-token.ts'

const user = new Wallet(`0x${'11'.repeat(32)}`)
const provider = new Wallet(`0x${'22'.repeat(32)}`).address
const NOW = 1_800_000_000_000
const token: SessionToken = {
  address: user.address,
  provider,
  timestamp: NOW,
  expiresAt: NOW + 3_600_000,
  nonce: 'n-1',
  generation: 2,
  tokenId: 7,
}
const keyOf = (changes: Partial<SessionToken> = {}) =>
  createSessionToken({ ...token, ...changes }, (digest) => user.signMessage(digest))
const account = { provider, generation: 2n, revokedBitmap: 0n, nowMs: NOW }

describe('parseSessionToken', () => {
  it('default: reads what createSessionToken makes, and finds the signer', async () => {
    const parsed = parseSessionToken(await keyOf())
    assert.deepEqual(parsed.token, token)
    assert.equal(verifySessionToken(parsed), user.address)
  })

  it('behavior: the signature counts over the bytes as received, whatever their order and spaces', async () => {
    const json = `{ "tokenId": 7, "generation": 2, "nonce": "x", "expiresAt": 0, "timestamp": 1, "provider": "${provider.toLowerCase()}", "address": "${user.address}" }`
    const { id, getBytes } = await import('ethers')
    const signature = await user.signMessage(getBytes(id(json)))
    const parsed = parseSessionToken(formatSessionToken({ json, signature }))
    assert.equal(verifySessionToken(parsed), user.address)
    assert.equal(parsed.token.provider, provider)
  })

  it('error: other forms', async () => {
    const good = await keyOf()
    const body = (text: string) => `app-sk-${Buffer.from(text).toString('base64')}`
    const signature = `0x${'ab'.repeat(65)}`
    for (const text of [
      '',
      'sk-1234',
      'app-sk-',
      'app-sk-%%%',
      body('no bar'),
      body(`{}|${signature}`),
      body(`[1]|${signature}`),
      body(`{"a":|${signature}`),
      body(`${JSON.stringify({ ...token, tokenId: 256 })}|${signature}`),
      body(`${JSON.stringify({ ...token, expiresAt: -1 })}|${signature}`),
      body(`${JSON.stringify({ ...token, address: '0x12' })}|${signature}`),
      `${good.slice(0, 60)}!!`,
      `app-sk-${'A'.repeat(5000)}`,
    ])
      assert.throws(() => parseSessionToken(text), { code: 'UNAUTHORIZED' }, text)
  })

  it('error: another signer', async () => {
    const { json } = parseSessionToken(await keyOf())
    const forged = await new Wallet(`0x${'33'.repeat(32)}`).signMessage(json)
    assert.throws(() => verifySessionToken({ token, json, signature: forged }), { code: 'UNAUTHORIZED' })
    const broken = `0x${'ff'.repeat(65)}`
    assert.throws(() => verifySessionToken({ token, json, signature: broken }), { code: 'UNAUTHORIZED' })
  })
})

describe('sessionTokenFault', () => {
  it('default: a key that counts', () => {
    assert.equal(sessionTokenFault(token, account), undefined)
    assert.equal(sessionTokenFault({ ...token, expiresAt: 0 }, account), undefined)
    const session = { ...token, tokenId: 255 }
    assert.equal(sessionTokenFault(session, { ...account, revokedBitmap: 2n ** 255n - 1n }), undefined)
  })

  it('error: foreign, expired, revoked alone or with all, or a session without end', () => {
    const fault = (changes: Partial<SessionToken>, other: Partial<typeof account> = {}) =>
      sessionTokenFault({ ...token, ...changes }, { ...account, ...other })
    assert.match(fault({ provider: user.address }) ?? '', /for provider/)
    assert.match(fault({ expiresAt: NOW }) ?? '', /expired/)
    assert.match(fault({}, { generation: 3n }) ?? '', /all others/)
    assert.match(fault({}, { revokedBitmap: 1n << 7n }) ?? '', /revoked/)
    assert.match(fault({ tokenId: 255, expiresAt: 0 }) ?? '', /24 hours/)
    assert.match(fault({ tokenId: 255, expiresAt: NOW + 25 * 3_600_000 }) ?? '', /24 hours/)
    const later = NOW + 365 * 24 * 3_600_000
    const ahead = { timestamp: later, expiresAt: later + 3_600_000 }
    assert.match(fault({ tokenId: 255, ...ahead }) ?? '', /24 hours/, 'a session that is dated ahead')
  })
})
