import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEther } from 'ethers'
import fc from 'fast-check'
import { parseAmount } from '../../../agents/cli/amount.ts'
import {
  formatBytes,
  formatSeconds,
  formatTable,
  formatWei,
  formatWeiUp,
} from '../../../agents/cli/format.ts'

describe('formatWei', () => {
  it('default: four digits that matter, tiny amounts in wei', () => {
    const shown: [bigint, string][] = [
      [0n, '0 0G'],
      [7n, '7 wei'],
      [parseEther('12.5'), '12.5 0G'],
      [parseEther('0.00001234567'), '0.00001234 0G'],
      [parseEther('-3'), '-3 0G'],
    ]
    for (const [amountWei, text] of shown) assert.equal(formatWei(amountWei), text)
  })

  it('behavior: formatWeiUp never shows less than it is', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 10n ** 27n), (amountWei) => {
        const shownWei = parseAmount(formatWeiUp(amountWei).replace(/ 0G$/, '').replace(' wei', 'wei'))
        assert.ok(shownWei >= amountWei && shownWei - amountWei < 10n ** 14n, formatWeiUp(amountWei))
      }),
    )
  })
})

describe('formatBytes, formatSeconds, formatTable', () => {
  it('default', () => {
    assert.deepEqual([0, 999, 1_050_000, 3n * 10n ** 12n].map(formatBytes), [
      '0 B',
      '999 B',
      '1.05 MB',
      '3.00 TB',
    ])
    assert.deepEqual([0, 59, 3_700, 200_000].map(formatSeconds), ['0 s', '59 s', '1 h 1 min', '2 d 7 h'])
    assert.deepEqual(formatTable(['a', 'long'], [['wide', 'x']]), ['a     long', '----  ----', 'wide  x'])
  })
})
