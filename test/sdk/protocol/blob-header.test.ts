import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keccak256, Wallet } from 'ethers'
import { MAX_PAYLOAD_BYTES } from '../../../sdk/protocol/blob.ts'
import {
  type BlobHeader,
  blobIdOf,
  checkHeader,
  headerToJson,
  parseHeader,
  parseSignedHeader,
  signHeader,
  verifyHeader,
} from '../../../sdk/protocol/blob-header.ts'
import {
  attestationDigest,
  blsKeyDigest,
  committeeDomain,
  daDomain,
  formatPublish,
  parsePublish,
  signPublish,
  verifyPublish,
} from '../../../sdk/protocol/da-typed-data.ts'

const wallet = new Wallet(keccak256('0x01'))
const stranger = new Wallet(keccak256('0x02'))
const da = '0x1111111111111111111111111111111111111111'
const place = { chainId: 31337n, da }
const hash = (digit: string) => `0x${digit.repeat(64)}`

const header: BlobHeader = {
  version: 1,
  ...place,
  disperser: wallet.address,
  epoch: 7n,
  nonce: (1n << 64n) - 1n,
  blobCount: 2,
  payloadBytes: 200_000,
  payloadHash: hash('a'),
  commitmentsRoot: hash('b'),
  cellsRoot: hash('c'),
  expiresAt: 40n,
}

describe('blobIdOf', () => {
  it('behavior: every field counts', () => {
    const changes: Partial<BlobHeader>[] = [
      { version: 2 },
      { chainId: 1n },
      { da: stranger.address },
      { disperser: stranger.address },
      { epoch: 8n },
      { nonce: 0n },
      { blobCount: 3 },
      { payloadBytes: 200_001 },
      { payloadHash: hash('1') },
      { commitmentsRoot: hash('1') },
      { cellsRoot: hash('1') },
      { expiresAt: 41n },
    ]
    assert.equal(changes.length, Object.keys(header).length)
    const ids = [header, ...changes.map((change) => ({ ...header, ...change }))].map(blobIdOf)
    assert.equal(new Set(ids).size, ids.length)
  })
})

describe('verifyHeader', () => {
  it('takes what the disperser signed', async () => {
    verifyHeader(await signHeader(wallet, header), place)
  })

  it('error: signed by somebody else, or nothing that is a signature', async () => {
    const forged = await signHeader(stranger, header)
    assert.throws(() => verifyHeader(forged, place), { code: 'SIGNATURE_INVALID' })
    assert.throws(() => verifyHeader({ header, signature: '0x00' }, place), { code: 'SIGNATURE_INVALID' })
  })

  it('error: a signature that recovers, in a form that the contracts refuse: it would be no evidence', async () => {
    const { signature } = await signHeader(wallet, header)
    const parity = Number(signature.endsWith('1c'))
    for (const v of [parity, parity + 35, parity + 37]) {
      const spelled = `${signature.slice(0, -2)}${v.toString(16).padStart(2, '0')}`
      assert.throws(() => verifyHeader({ header, signature: spelled }, place), { code: 'SIGNATURE_INVALID' })
    }
  })

  it('error: signed for another header', async () => {
    const { signature } = await signHeader(wallet, header)
    const other = { header: { ...header, nonce: 1n }, signature }
    assert.throws(() => verifyHeader(other, place), { code: 'SIGNATURE_INVALID' })
  })

  it('error: another chain or contract', async () => {
    const signed = await signHeader(wallet, header)
    assert.throws(() => verifyHeader(signed, { ...place, chainId: 1n }), { code: 'DA_WRONG_CHAIN' })
    const elsewhere = { ...place, da: stranger.address }
    assert.throws(() => verifyHeader(signed, elsewhere), { code: 'DA_WRONG_CHAIN' })
  })
})

describe('checkHeader', () => {
  it('error: version, length and count must fit', () => {
    checkHeader(header)
    const refused: [Partial<BlobHeader>, string][] = [
      [{ version: 2 }, 'version'],
      [{ payloadBytes: 0 }, 'length'],
      [{ payloadBytes: MAX_PAYLOAD_BYTES + 1 }, 'length'],
      [{ blobCount: 1 }, 'count'],
      [{ blobCount: 3 }, 'count'],
    ]
    for (const [change, reason] of refused)
      assert.throws(
        () => checkHeader({ ...header, ...change }),
        (error: { code: string; meta: object }) => {
          assert.deepEqual([error.code, error.meta], ['DA_INVALID_BLOB', { reason }])
          return true
        },
      )
  })
})

describe('parseHeader', () => {
  it('behavior: reads what headerToJson wrote', () => {
    const json: unknown = JSON.parse(JSON.stringify(headerToJson(header)))
    assert.deepEqual(parseHeader(json), header)
  })

  it('error: anything but the one spelling of each field', () => {
    const json = headerToJson(header)
    const wrong: [string, unknown][] = [
      ['version', 0],
      ['version', '1'],
      ['chainId', 31337],
      ['chainId', '031337'],
      ['epoch', '-1'],
      ['nonce', `${1n << 64n}`],
      ['nonce', '1e3'],
      ['blobCount', 257],
      ['blobCount', 1.5],
      ['payloadBytes', MAX_PAYLOAD_BYTES + 1],
      ['payloadHash', '0x12'],
      ['cellsRoot', hash('A')],
      ['commitmentsRoot', 5],
      ['disperser', '0x12'],
      ['da', null],
      ['expiresAt', undefined],
    ]
    for (const [field, value] of wrong)
      assert.throws(
        () => parseHeader({ ...json, [field]: value }),
        (error: { code: string; meta: object }) => {
          assert.deepEqual([error.code, error.meta], ['BAD_REQUEST', { field }])
          return true
        },
      )
    assert.throws(() => parseHeader({ ...json, extra: 1 }), { code: 'BAD_REQUEST' })
    for (const value of [null, [], 'header', 5])
      assert.throws(() => parseHeader(value), { code: 'BAD_REQUEST' })
  })

  it('error: a signed header without a signature of 65 bytes', () => {
    const json = headerToJson(header)
    for (const signature of [undefined, '0x', `0x${'00'.repeat(64)}`, 7])
      assert.throws(() => parseSignedHeader({ header: json, signature }), { code: 'BAD_REQUEST' })
  })
})

describe('typed data', () => {
  it('behavior: attestations and keys are bound to chain, contract and content', () => {
    const attestation = { blobId: blobIdOf(header), epoch: 7n }
    const digests = [
      attestationDigest(daDomain(1n, da), attestation),
      attestationDigest(daDomain(2n, da), attestation),
      attestationDigest(daDomain(1n, wallet.address), attestation),
      attestationDigest(daDomain(1n, da), { ...attestation, epoch: 8n }),
      attestationDigest(daDomain(1n, da), { ...attestation, blobId: hash('d') }),
      blsKeyDigest(committeeDomain(1n, da), { operator: wallet.address, keyHash: hash('a') }),
      blsKeyDigest(committeeDomain(2n, da), { operator: wallet.address, keyHash: hash('a') }),
      blsKeyDigest(committeeDomain(1n, da), { operator: stranger.address, keyHash: hash('a') }),
      blsKeyDigest(committeeDomain(1n, da), { operator: wallet.address, keyHash: hash('b') }),
    ]
    assert.equal(new Set(digests).size, digests.length)
  })

  const message = {
    disperser: stranger.address,
    payloadHash: hash('e'),
    payloadBytes: 5,
    retentionPeriods: 9n,
    until: 1_800_000_000n,
  }

  it('a publishing permission travels in a header and back', async () => {
    const domain = daDomain(1n, da)
    const signature = await signPublish(wallet, domain, message)
    const permission = parsePublish(
      formatPublish({ address: wallet.address, until: message.until, signature }),
    )
    verifyPublish(domain, message, permission)
    assert.throws(() => verifyPublish(domain, { ...message, retentionPeriods: 10n }, permission), {
      code: 'UNAUTHORIZED',
    })
    assert.throws(() => verifyPublish(daDomain(2n, da), message, permission), { code: 'UNAUTHORIZED' })
    assert.throws(
      () => verifyPublish(domain, message, { ...permission, signature: `0x${'ff'.repeat(65)}` }),
      { code: 'UNAUTHORIZED' },
    )
  })

  it('error: an authorization of another form', () => {
    for (const text of ['', 'Bearer x', 'ZeroG 0x 1 0x', `ZeroGDa ${da} x 0x${'00'.repeat(65)}`])
      assert.throws(() => parsePublish(text), { code: 'UNAUTHORIZED' })
  })
})
