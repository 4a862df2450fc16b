import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { cellEvidence } from '../../../sdk/protocol/kzg-cell.ts'
import { at, randomBytes } from '../../support/content.ts'
import {
  BOND_WEI,
  type CourtSystem,
  confirmBlob,
  deployCourt,
  encodeMatrix,
  evidenceHex,
  type Matrix,
  type Published,
  publish,
  randomBlob,
} from '../../support/court-fixture.ts'
import { compareGas } from '../../support/gas-snapshot.ts'
import { revertsWith } from '../../support/reverts.ts'
import { eventsOf } from '../staking/fixture.ts'

const ETHER = 10n ** 18n
const DISPUTE_LIMIT = 320_000n
const WRONG_COLUMN = 77

/** The matrix with one cell changed in one byte. */
function withWrongCell(matrix: Matrix, blobIndex: number, column: number): Matrix {
  const columns = matrix.columns.map((cells, k) =>
    k !== column
      ? cells
      : cells.map(({ proof, cell }, b) => {
          if (b !== blobIndex) return { proof, cell }
          const changed = cell.slice()
          changed[100] = (changed[100] ?? 0) ^ 1
          return { proof, cell: changed }
        }),
  )
  return { ...matrix, columns }
}

async function gasOf(sent: Promise<{ wait(): Promise<{ gasUsed: bigint } | null> }>): Promise<bigint> {
  const receipt = await (await sent).wait()
  assert.ok(receipt !== null)
  return receipt.gasUsed
}

describe('DaCourt.disputeCell', () => {
  let system: CourtSystem
  let honest: Matrix
  let blob: Published
  let valid: Published
  const engine = loadNodeKzg()

  before(async () => {
    system = await deployCourt([4n * ETHER, 4n * ETHER, 4n * ETHER, 4n * ETHER])
    honest = await encodeMatrix([randomBlob(1)])
    valid = await publish(system, honest, 1n)
    blob = await publish(system, withWrongCell(honest, 0, WRONG_COLUMN), 2n)
    await confirmBlob(system, blob.blobId, [0, 1, 2, 3])
    await confirmBlob(system, valid.blobId, [0, 1, 2, 3])
  })

  async function evidenceOf(published: Published, blobIndex: number, column: number) {
    return evidenceHex(await cellEvidence(await engine, published.claim(blobIndex, column)))
  }

  async function dispute(published: Published, blobIndex: number, column: number) {
    return system.court
      .connect(system.reporter)
      .disputeCell(
        published.leaf(blobIndex, column),
        published.commitmentLeaf(blobIndex),
        await evidenceOf(published, blobIndex, column),
      )
  }

  it('default: a wrong cell convicts the blob; punish takes the bond and the share of who attested it', async () => {
    const { court, da, staking, committee, reporter, disperser, members, epoch } = system
    await system.rolledBack(async () => {
      const faultId = await court.faultIdOf(blob.blobId, WRONG_COLUMN)
      const [convicted] = await eventsOf(dispute(blob, 0, WRONG_COLUMN), court, 'Convicted')
      assert.deepEqual(convicted, {
        faultId,
        blobId: blob.blobId,
        reporter: reporter.address,
        columns: 1n << BigInt(WRONG_COLUMN),
      })
      const record = await da.blobOf(blob.blobId)
      assert.ok(record.convictedAtBlock > 0n)
      assert.equal(record.forfeited, 1n << BigInt(WRONG_COLUMN))
      // FINAL never turns back.
      assert.equal(await da.isFinal(blob.blobId), true)
      assert.equal((await court.verdictOf(faultId)).due, true)

      const owner = await committee.ownerOf(epoch, WRONG_COLUMN)
      const slot = members.findIndex(({ signer }) => signer.address === owner)
      const bondBefore = await staking.backing(disperser, da)
      const stakeBefore = await staking.backing(owner, committee)
      const punished = await eventsOf(court.punish(faultId, 10), court, 'Punished')
      assert.deepEqual(punished, [
        { faultId, operator: disperser.address, slashedWei: BOND_WEI },
        { faultId, operator: owner, slashedWei: (at(members, slot).stakeWei * 2_000n) / 10_000n },
      ])
      assert.equal(await staking.backing(disperser, da), bondBefore - BOND_WEI)
      assert.equal(await staking.backing(owner, committee), (stakeBefore * 8_000n) / 10_000n)
      const rewardWei = ((BOND_WEI + (4n * ETHER * 2_000n) / 10_000n) * 3_000n) / 10_000n
      assert.equal(await staking.claimable(reporter), rewardWei)
      assert.equal(await da.isConvicted(disperser), true)
      for (const { signer } of members)
        if (signer.address !== owner) assert.equal(await staking.backing(signer, committee), 4n * ETHER)

      assert.equal((await court.verdictOf(faultId)).due, false)
      await revertsWith(court.punish(faultId, 10), court, 'NothingToPunish', [faultId])
      await revertsWith(dispute(blob, 0, WRONG_COLUMN), court, 'AlreadyConvicted', [faultId])
    })
  })

  it('behavior: within its gas with one blob and with sixteen', async () => {
    await system.rolledBack(async () => {
      const sixteen = await encodeMatrix(Array.from({ length: 16 }, (_, b) => randomBlob(50 + b)))
      const wide = await publish(system, withWrongCell(sixteen, 11, 102), 3n)
      await confirmBlob(system, wide.blobId, [0, 1, 2, 3])
      const faultId = await system.court.faultIdOf(wide.blobId, 102)
      compareGas('da court', {
        'dispute of a cell, M = 1': {
          gas: await gasOf(dispute(blob, 0, WRONG_COLUMN)),
          limit: DISPUTE_LIMIT,
        },
        'dispute of a cell, M = 16': { gas: await gasOf(dispute(wide, 11, 102)), limit: DISPUTE_LIMIT },
        'punish disperser and attester': { gas: await gasOf(system.court.punish(faultId, 2)) },
      })
    })
  })

  it('error: a valid cell is valid, also for the view; of a wrong one the view says so', async () => {
    const { court } = system
    await revertsWith(dispute(valid, 0, 5), court, 'CellIsValid', [valid.blobId, 0n, 5n])
    for (const [published, column, fits] of [
      [valid, 5, true],
      [valid, WRONG_COLUMN, true],
      [blob, 5, true],
      [blob, WRONG_COLUMN, false],
    ] as const) {
      const answer = await court.verifyCell(
        published.leaf(0, column),
        published.commitmentLeaf(0),
        await evidenceOf(published, 0, column),
      )
      assert.equal(answer, fits)
    }
  })

  it('error: leaves and commitments that are not under the header, and unknown blobs', async () => {
    const { court } = system
    const evidence = await evidenceOf(valid, 0, 5)
    const leaf = valid.leaf(0, 5)
    const commitment = valid.commitmentLeaf(0)
    const junk = randomBytes(48, 3)
    for (const [wrong, name] of [
      [{ ...leaf, column: 6 }, 'WrongLeaf'],
      [{ ...leaf, blobIndex: 1 }, 'WrongLeaf'],
      [{ ...leaf, proof: junk }, 'WrongLeaf'],
      [{ ...leaf, cell: randomBytes(2048, 4) }, 'WrongLeaf'],
      [{ ...leaf, path: leaf.path.slice(1) }, 'WrongLeaf'],
      [{ ...leaf, path: [...leaf.path, new Uint8Array(32)] }, 'WrongLeaf'],
      [{ ...leaf, blobId: `0x${'11'.repeat(32)}` }, 'BlobUnknown'],
    ] satisfies [typeof leaf, string][]) {
      await revertsWith(court.disputeCell.staticCall(wrong, commitment, evidence), court, name)
      await revertsWith(court.verifyCell(wrong, commitment, evidence), court, name)
    }
    for (const wrong of [
      { ...commitment, commitment: junk },
      { ...commitment, path: [new Uint8Array(32)] },
    ])
      await revertsWith(court.disputeCell.staticCall(leaf, wrong, evidence), court, 'WrongCommitmentLeaf')
  })

  it('error: junk R, junk W, a wrong value, another y, each on a valid cell: no conviction', async () => {
    const { court } = system
    const leaf = valid.leaf(0, 5)
    const commitment = valid.commitmentLeaf(0)
    const evidence = await evidenceOf(valid, 0, 5)
    const other = await evidenceOf(valid, 0, 6)
    for (const [junk, name] of [
      [{ ...evidence, interpolant: other.interpolant }, 'OpeningRefused'],
      [{ ...evidence, interpolant: other.interpolant, opening: other.opening }, 'OpeningRefused'],
      [{ ...evidence, opening: other.opening }, 'OpeningRefused'],
      [{ ...evidence, opening: '0x' }, 'OpeningRefused'],
      [{ ...evidence, commitmentY: other.proofY }, 'PointNotOnCurve'],
      [{ ...evidence, proofY: other.proofY }, 'PointNotOnCurve'],
      [other, 'PointNotOnCurve'],
    ] as const)
      await revertsWith(court.disputeCell.staticCall(leaf, commitment, junk), court, name)
    assert.equal((await court.verdictOf(await court.faultIdOf(valid.blobId, 5))).due, false)
  })

  it('error: with too little gas neither a valid nor a wrong cell is judged wrongly', async () => {
    const { court, reporter } = system
    for (const [published, column] of [
      [valid, 5],
      [blob, WRONG_COLUMN],
    ] as const) {
      const leaf = published.leaf(0, column)
      const evidence = await evidenceOf(published, 0, column)
      for (let gasLimit = 90_000n; gasLimit < 520_000n; gasLimit += 9_973n) {
        const answer = await court
          .connect(reporter)
          .verifyCell(leaf, published.commitmentLeaf(0), evidence, { gasLimit })
          .catch(() => undefined)
        assert.ok(answer === undefined || answer === (published === valid), `${gasLimit} gas`)
      }
    }
  })

  it('error: after the window, and in its last period, which is for punishing', async () => {
    const { court, beacon } = system
    await system.rolledBack(async () => {
      const closedAt = blob.header.expiresAt + 2n
      await system.mineTo((await beacon.periodStart(closedAt)) - 2n)
      assert.equal((await beacon.currentPeriod()) < closedAt, true)
      await system.rolledBack(async () => {
        await dispute(blob, 0, WRONG_COLUMN)
      })
      await system.mineTo(await beacon.periodStart(closedAt))
      await revertsWith(dispute(blob, 0, WRONG_COLUMN), court, 'DisputeClosed', [blob.blobId, closedAt])
    })
  })
})
