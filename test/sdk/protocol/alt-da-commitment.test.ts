import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hexlify } from 'ethers'
import { encodeAltDaCommitment, parseAltDaCommitment } from '../../../sdk/protocol/alt-da-commitment.ts'

const HASH = `0x${'ab'.repeat(32)}`

describe('altDaCommitment', () => {
  it('keccak: 0x00 and the hash; generic: 0x01, our layer, the blob id', () => {
    const keccak = encodeAltDaCommitment({ kind: 'keccak', payloadHash: HASH })
    assert.equal(hexlify(keccak), `0x00${'ab'.repeat(32)}`)
    const generic = encodeAltDaCommitment({ kind: 'generic', blobId: HASH })
    assert.equal(hexlify(generic), `0x017a${'ab'.repeat(32)}`)
  })

  it('reads what it writes, with and without 0x, in any case', () => {
    for (const commitment of [
      { kind: 'keccak', payloadHash: HASH },
      { kind: 'generic', blobId: HASH },
    ] as const) {
      const hex = hexlify(encodeAltDaCommitment(commitment))
      for (const text of [hex, hex.slice(2), hex.slice(2).toUpperCase()])
        assert.deepEqual(parseAltDaCommitment(text), commitment)
    }
  })

  it('error: lengths, types and layers that are not ours', () => {
    for (const text of [
      '',
      '0x',
      '0x00',
      `0x00${'ab'.repeat(31)}`,
      `0x00${'ab'.repeat(33)}`,
      '0x017a',
      '0x01',
    ])
      assert.throws(() => parseAltDaCommitment(text), { code: 'BAD_REQUEST' }, text)
    for (const text of [`0x0147${'ab'.repeat(32)}`, `0x02${'ab'.repeat(32)}`])
      assert.throws(() => parseAltDaCommitment(text), { code: 'BAD_REQUEST' }, text)
    for (const text of ['0x0', 'xyz', '0x00 ', `0x00${'ag'.repeat(32)}`])
      assert.throws(() => parseAltDaCommitment(text), { code: 'BAD_HEX' }, text)
  })
})
