import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { getBytes } from 'ethers'
import fc from 'fast-check'
import { referenceErasure } from '../../../sdk/protocol/erasure.ts'
import { MAX_PARITY_SHARDS, parityCoefficient } from '../../../sdk/protocol/erasure-matrix.ts'
import { loadErasureEngine } from '../../../sdk/protocol/erasure-wasm.ts'
import { gfInv, gfMul } from '../../../sdk/protocol/gf256.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { MAX_DATA_SHARDS } from '../../../sdk/protocol/layout.ts'
import { GF256Harness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { at, randomBytes } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'

const chain = await createChain()
const library = await new GF256Harness__factory(chain.signer(0)).deploy()
const wasm = await loadErasureEngine()

describe('gfMul', () => {
  it('behavior: a field: every element but 0 has its inverse, 2 generates all', () => {
    const powers = new Set<number>()
    let power = 1
    for (let i = 0; i < 255; i++) {
      powers.add(power)
      power = gfMul(power, 2)
    }
    assert.equal(powers.size, 255)
    for (let a = 1; a < 256; a++) assert.equal(gfMul(a, gfInv(a)), 1)
    assert.throws(() => gfInv(0), { code: 'ERASURE_INVALID' })
  })

  it('behavior: associative and distributive', () => {
    const byte = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(byte, byte, byte, (a, b, c) => {
        assert.equal(gfMul(a, gfMul(b, c)), gfMul(gfMul(a, b), c))
        assert.equal(gfMul(a, b ^ c), gfMul(a, b) ^ gfMul(a, c))
        assert.equal(gfMul(a, b), gfMul(b, a))
      }),
      { numRuns: 2000 },
    )
  })

  it('behavior: equals GF256Lib.mul, and so do all inverses and coefficients', async () => {
    for (let i = 0; i < 300; i++) {
      const [a, b] = [(i * 89) % 256, (i * i + 7) % 256]
      assert.equal(await library.mul(a, b), BigInt(gfMul(a, b)))
    }
    const inverses = getBytes(await library.inverses())
    assert.equal(inverses.length, 256)
    inverses.forEach((inverse, a) => {
      assert.equal(inverse, a === 0 ? 0 : gfInv(a))
    })
    for (let parity = 0; parity < MAX_PARITY_SHARDS; parity += 9) {
      for (let data = 0; data < MAX_DATA_SHARDS; data++) {
        assert.equal(await library.coefficient(parity, data), BigInt(parityCoefficient(parity, data)))
      }
    }
    await revertsWith(library.coefficient(64, 0), library, 'OutsideCode')
    await revertsWith(library.coefficient(0, 16), library, 'OutsideCode')
  })
})

describe('GF256Lib.paritySector', () => {
  it('behavior: the contract, the reference and the WASM engine make the same parity', async () => {
    for (let d = 1; d <= 16; d++) {
      const data = Array.from({ length: d }, (_, i) => randomBytes(256, 31 * d + i))
      const parity = referenceErasure.encode(data, 64)
      assert.deepEqual(wasm.encode(data, 64), parity)
      for (const p of [0, d % 8, 7, 63]) {
        assert.equal(await library.paritySector(data, p), toHex(at(parity, p)))
      }
    }
  })

  it('behavior: one column of 16 data sectors takes under 150,000 gas besides its calldata', async () => {
    const data = Array.from({ length: 16 }, () => new Uint8Array(256).fill(0xff))
    const callGas = 21_000n + 16n * (16n * 256n + 64n * 4n)
    const gas = await library.paritySector.estimateGas(data, 63)
    assert.ok(gas < 150_000n + callGas, `${gas} gas`)
  })

  it('error: no data, too much, a sector of another size, a parity shard outside', async () => {
    const sector = new Uint8Array(256)
    await revertsWith(library.paritySector([], 0), library, 'OutsideCode')
    await revertsWith(
      library.paritySector(
        Array.from({ length: 17 }, () => sector),
        0,
      ),
      library,
      'OutsideCode',
    )
    await revertsWith(library.paritySector([sector], 64), library, 'OutsideCode')
    await revertsWith(library.paritySector([sector, sector.subarray(1)], 0), library, 'NotASector')
  })
})
