import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  parseAddress,
  parseAmount,
  parseBytes,
  parseCount,
  parseFileId,
  parseNumber,
  parseRange,
  parseUrl,
} from '../../../agents/cli/amount.ts'

const ROOT = `0x${'aB'.repeat(32)}`

/** Each of `texts` is refused with `code`. */
function refuses(parse: (text: string) => unknown, code: string, texts: readonly string[]): void {
  for (const text of texts) assert.throws(() => parse(text), { code }, text)
}

describe('parseAmount', () => {
  it('default: coins, or wei with the unit', () => {
    assert.equal(parseAmount('12.5'), 12_500_000_000_000_000_000n)
    assert.equal(parseAmount('1000wei'), 1000n)
    assert.equal(parseAmount('0.000000000000000001'), 1n)
  })
  it('error: anything else', () => {
    refuses(parseAmount, 'BAD_REQUEST', [
      '',
      '-1',
      '1e3',
      '1,5',
      '.5',
      '0x10',
      `0.${'0'.repeat(18)}1`,
      '5 wie',
    ])
  })
})

describe('parseBytes', () => {
  it('default: a number, or one with a decimal unit', () => {
    assert.equal(parseBytes('--capacity')('1500'), 1500)
    assert.equal(parseBytes('--capacity')('1.5TB'), 1.5e12)
    assert.equal(parseBytes('--capacity')('20 GB'), 20e9)
  })
  it('error: another unit, or no whole number of bytes', () => {
    refuses(parseBytes('--capacity'), 'BAD_REQUEST', [
      '',
      '5GiB',
      '5gb',
      '-5',
      '0.3',
      '99999999TB',
      'toString',
    ])
  })
})

describe('parseCount, parseNumber', () => {
  it('default: whole numbers, bounded or of any size', () => {
    assert.equal(parseCount('--port', 1, 65_535)('65535'), 65_535)
    assert.equal(parseNumber('txSeq')('9'.repeat(30)), BigInt('9'.repeat(30)))
  })
  it('error: out of bounds, signs, hex and nothing at all; the name is in the message', () => {
    refuses(parseCount('--port', 1, 65_535), 'BAD_REQUEST', ['0', '65536', '1.5', ' 1', ''])
    refuses(parseNumber('txSeq'), 'BAD_REQUEST', ['', '-1', '0x1', '1n'])
    assert.throws(() => parseNumber('txSeq')('x'), /txSeq must be a whole number, not "x"/)
  })
})

describe('parseUrl', () => {
  it('default: without its trailing slashes', () => {
    assert.equal(parseUrl('--url')('https://store.example/a//'), 'https://store.example/a')
  })
  it('error: another scheme or none', () => {
    refuses(parseUrl('--url'), 'BAD_REQUEST', ['store.example', 'ftp://store.example', 'http://', ''])
  })
})

describe('parseAddress, parseFileId', () => {
  it('default: checksummed; a root in lower case, or a number', () => {
    assert.equal(
      parseAddress('0x70997970c51812dc3a010c7d01b50e0d17dc79c8'),
      '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
    )
    assert.deepEqual(parseFileId(ROOT), { root: ROOT.toLowerCase() })
    assert.deepEqual(parseFileId('17'), { txSeq: 17n })
  })
  it('error: bad hex', () => {
    refuses(parseAddress, 'BAD_HEX', ['0x1', '', `0x${'g'.repeat(40)}`])
    // One letter of another case: a checksum that does not hold is a typing error.
    refuses(parseAddress, 'BAD_HEX', ['0x70997970C51812dc3A010C7d01b50e0d17dc79c8'])
    refuses(parseFileId, 'BAD_HEX', ['0x1', ROOT.slice(2), `${ROOT}0`, '-1', ''])
  })
})

describe('parseRange', () => {
  it('default: both ends included, or to the end', () => {
    assert.deepEqual(parseRange('0-0'), { start: 0, end: 1 })
    assert.deepEqual(parseRange('1024-'), { start: 1024 })
  })
  it('error: backwards or malformed', () => {
    refuses(parseRange, 'RANGE_INVALID', ['9-1', '-5', '5', 'a-b', ''])
  })
})
