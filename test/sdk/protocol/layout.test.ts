import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { dealGeometry, type FileLayout, fileLayout, shardRange } from '../../../sdk/protocol/layout.ts'
import { LayoutHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { revertsWith } from '../../support/reverts.ts'
import { readVectors } from '../../support/vectors.ts'

const chain = await createChain()
const library = await new LayoutHarness__factory(chain.signer(0)).deploy()

describe('fileLayout', () => {
  it('default: the layouts of the vectors', () => {
    for (const { byteLength, ranges, ...rest } of readVectors<
      (FileLayout & { shardBytes: number; ranges: unknown[] })[]
    >('layouts')) {
      const { shardBytes, ...expected } = rest
      const layout = fileLayout(byteLength)
      assert.deepEqual(layout, { byteLength, ...expected })
      assert.equal(shardBytes, layout.shardSectors * 256)
      assert.deepEqual(
        ranges.map((_, i) => shardRange(layout, i)),
        ranges,
      )
    }
  })

  it('behavior: padding adds less than an eighth, shards tile the file, nodes are whole shards', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 44 }), (byteLength) => {
        const layout = fileLayout(byteLength)
        const { sectors, paddedSectors, shardSectors, dataShards, nodeHeights } = layout
        assert.ok(sectors * 256 >= byteLength && (sectors - 1) * 256 < byteLength)
        assert.ok(paddedSectors >= sectors && paddedSectors - sectors < Math.max(1, sectors / 8))
        assert.equal(shardSectors * dataShards, paddedSectors)
        assert.ok(dataShards >= 1 && dataShards <= 16)
        assert.ok(shardSectors === 1 || dataShards > 8)
        assert.equal(
          nodeHeights.reduce((sum, height) => sum + 2 ** height, 0),
          paddedSectors,
        )
        assert.ok(nodeHeights.length <= 4 && nodeHeights.every((height) => 2 ** height % shardSectors === 0))
        assert.deepEqual(
          nodeHeights.toSorted((a, b) => b - a),
          nodeHeights,
        )
        let end = 0
        for (let i = 0; i < dataShards; i++) {
          const range = shardRange(layout, i)
          assert.equal(range.start, end)
          assert.ok(range.end > range.start, 'no data shard is padding alone')
          end = range.end
        }
        assert.equal(end, byteLength)
      }),
      { numRuns: 2000 },
    )
  })

  it('error: no bytes, too many, a broken number, a shard that is not there', () => {
    assert.throws(() => fileLayout(0), { code: 'EMPTY_FILE' })
    for (const byteLength of [-1, 0.5, Number.NaN, 2 ** 53]) {
      assert.throws(() => fileLayout(byteLength), { code: 'FILE_TOO_LARGE' })
    }
    for (const index of [-1, 16, 0.5])
      assert.throws(() => shardRange(fileLayout(5000), index), { code: 'RANGE_INVALID' })
  })
})

describe('dealGeometry', () => {
  it('behavior: equals LayoutLib for every padded length up to 300 and random ones', async () => {
    const random = fc
      .sample(fc.integer({ min: 1, max: 2 ** 44 }), 60)
      .map((bytes) => fileLayout(bytes).paddedSectors)
    const small = Array.from({ length: 300 }, (_, i) => i + 1)
    for (const padded of [...small, ...random]) {
      let geometry: { shardSectors: number; dataShards: number } | undefined
      try {
        geometry = dealGeometry(padded)
      } catch {
        await revertsWith(library.geometry(padded), library, 'NotPaddedLength')
        continue
      }
      const { shardSectors, dataShards } = await library.geometry(padded)
      assert.deepEqual(geometry, { shardSectors: Number(shardSectors), dataShards: Number(dataShards) })
    }
  })

  it('error: lengths that no file has', async () => {
    for (const padded of [0, -1, 1.5])
      assert.throws(() => dealGeometry(padded), { code: 'SUBMISSION_INVALID' })
    await revertsWith(library.geometry(0), library, 'NotPaddedLength')
    await revertsWith(library.geometry((1n << 64n) + 1n), library, 'NotPaddedLength')
    await revertsWith(library.geometry((1n << 256n) - 1n), library, 'NotPaddedLength')
  })
})
