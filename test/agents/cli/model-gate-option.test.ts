import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatGate, parseGate, parseQuota } from '../../../agents/cli/model-gate-option.ts'
import { NO_GATE } from '../../../sdk/chain/models.ts'

const TOKEN = '0x5FbDB2315678afecb367f032d93F642f64180aa3'

describe('parseGate', () => {
  it('default: the three standards, the minimum 1 unless given', () => {
    const gate = (kind: string, tokenId: bigint, minBalance: bigint) => ({
      kind,
      token: TOKEN,
      tokenId,
      minBalance,
    })
    assert.deepEqual(parseGate('none'), NO_GATE)
    assert.deepEqual(parseGate(`erc20:${TOKEN}:250`), gate('erc20', 0n, 250n))
    assert.deepEqual(parseGate(`erc721:${TOKEN.toLowerCase()}`), gate('erc721', 0n, 1n))
    assert.deepEqual(parseGate(`erc721:${TOKEN}:2`), gate('erc721', 0n, 2n))
    assert.deepEqual(parseGate(`erc1155:${TOKEN}:7`), gate('erc1155', 7n, 1n))
    assert.deepEqual(parseGate(`erc1155:${TOKEN}:0:3`), gate('erc1155', 0n, 3n))
  })

  it('error: anything else', () => {
    const bad = [
      '',
      'erc20',
      `erc20:${TOKEN}:0`,
      `erc20:${TOKEN}:1:2`,
      `erc1155:${TOKEN}`,
      `erc777:${TOKEN}:1`,
    ]
    const worse = [`erc20:${TOKEN.slice(0, -1)}:1`, `erc20:${TOKEN}:-1`, `erc20:${TOKEN}:${'9'.repeat(78)}`]
    for (const text of [...bad, ...worse]) assert.throws(() => parseGate(text), { code: 'BAD_REQUEST' }, text)
  })
})

describe('parseQuota', () => {
  it('default: units in so many blocks', () => {
    assert.deepEqual(parseQuota('1000/7200'), { freeUnits: 1000n, quotaPeriodBlocks: 7200n })
  })

  it('error: anything else', () => {
    for (const text of ['', '1', '0/1', '1/0', '-1/1', '1/1/1', '1/4294967296', '18446744073709551616/1'])
      assert.throws(() => parseQuota(text), { code: 'BAD_REQUEST' }, text)
  })
})

describe('formatGate', () => {
  it('behavior: as it is typed', () => {
    for (const text of [`erc20:${TOKEN}:250`, `erc721:${TOKEN}:1`, `erc1155:${TOKEN}:7:3`])
      assert.equal(formatGate({ ...NO_GATE, ...parseGate(text) }), text)
    assert.equal(formatGate(NO_GATE), '-')
    const free = { ...NO_GATE, ...parseGate(`erc721:${TOKEN}`), ...parseQuota('10/20') }
    assert.equal(formatGate(free), `erc721:${TOKEN}:1, free 10/20`)
  })
})
