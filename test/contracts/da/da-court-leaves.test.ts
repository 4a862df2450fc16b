import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { getBytes, toBeHex } from 'ethers'
import { network } from 'hardhat'
import { blobIdOf, signHeader } from '../../../sdk/protocol/blob-header.ts'
import { g1Compress, g1Uncompress } from '../../../sdk/protocol/bls.ts'
import {
  cellPath,
  cellsLevels,
  columnLevels,
  columnRoot,
  treePath,
  treeRoot,
} from '../../../sdk/protocol/cell-tree.ts'
import { FP_ORDER } from '../../../sdk/protocol/fp.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { FIELD_ORDER } from '../../../sdk/protocol/scalar-field.ts'
import { DaCourt__factory, PrecompileHarness__factory } from '../../../typechain-types/index.js'
import { at, randomBytes } from '../../support/content.ts'
import {
  BOND_WEI,
  COURT_PARAMS,
  type CourtSystem,
  confirmBlob,
  deployCourt,
  encodeMatrix,
  headerOf,
  type Matrix,
  type Published,
  publish,
  randomBlob,
} from '../../support/court-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { flagged, g1Bytes, outsidePoint, withoutPoint } from '../../support/wild-points.ts'
import { eventsOf } from '../staking/fixture.ts'

const ETHER = 10n ** 18n
const [NOT_CANONICAL, NOT_ON_CURVE, NOT_IN_SUBGROUP] = [0, 1, 2]

const wild = outsidePoint(3)
const outside = g1Compress(g1Bytes(wild))
const outsideY = g1Bytes(wild).slice(64)

/** What a malicious disperser put where, all in one header. */
const COLUMNS = { scalar: 3, short: 4, notCanonical: 5, notOnCurve: 6, outside: 7, good: 8, infinity: 9 }

describe('DaCourt on malformed leaves', () => {
  let system: CourtSystem
  let blob: Published
  let badElement: Uint8Array
  before(async () => {
    system = await deployCourt([4n * ETHER, 4n * ETHER, 4n * ETHER, 4n * ETHER, 4n * ETHER])
    const honest = await encodeMatrix([randomBlob(1)])
    badElement = at(at(honest.columns, COLUMNS.scalar), 0).cell.slice()
    badElement.set(getBytes(toBeHex(FIELD_ORDER, 32)), 17 * 32)
    const replaced: Record<number, { proof?: Uint8Array; cell?: Uint8Array }> = {
      [COLUMNS.scalar]: { cell: badElement },
      [COLUMNS.notCanonical]: { proof: flagged(FP_ORDER + 5n, 0x80) },
      [COLUMNS.notOnCurve]: { proof: withoutPoint() },
      [COLUMNS.outside]: { proof: outside },
      [COLUMNS.infinity]: { proof: flagged(0n, 0xc0) },
    }
    const matrix: Matrix = {
      ...honest,
      columns: honest.columns.map((cells, k) => cells.map((one) => ({ ...one, ...replaced[k] }))),
    }
    blob = await publish(system, matrix, 1n)
    await confirmBlob(system, blob.blobId, [0, 1, 2, 3, 4])
  })

  const convicts = async (column: number, send: () => Promise<unknown>) => {
    await system.rolledBack(async () => {
      await send()
      const faultId = await system.court.faultIdOf(blob.blobId, column)
      const verdict = await system.court.verdictOf(faultId)
      assert.equal(verdict.reporter, system.reporter.address)
      assert.equal(verdict.due, true)
    })
  }

  it('behavior: a scalar that is not canonical convicts; no other element does', async () => {
    const court = system.court.connect(system.reporter)
    await convicts(COLUMNS.scalar, () => court.disputeScalar(blob.leaf(0, COLUMNS.scalar), 17))
    for (const element of [0, 16, 18, 63, 64, 2n ** 255n])
      await revertsWith(
        court.disputeScalar(blob.leaf(0, COLUMNS.scalar), element),
        court,
        'ScalarIsCanonical',
        [BigInt(element)],
      )
    await revertsWith(court.disputeScalar(blob.leaf(0, COLUMNS.good), 17), court, 'ScalarIsCanonical')
    const forged = { ...blob.leaf(0, COLUMNS.good), cell: badElement }
    await revertsWith(court.disputeScalar(forged, 17), court, 'WrongLeaf')
  })

  it('behavior: each fault of a proof point convicts by its own check alone', async () => {
    const court = system.court.connect(system.reporter)
    const dispute = (column: number, fault: number, y: Uint8Array | string = '0x') =>
      court.disputeProofPoint(blob.leaf(0, column), fault, y)
    await convicts(COLUMNS.notCanonical, () => dispute(COLUMNS.notCanonical, NOT_CANONICAL))
    await convicts(COLUMNS.notOnCurve, () => dispute(COLUMNS.notOnCurve, NOT_ON_CURVE))
    await convicts(COLUMNS.outside, () => dispute(COLUMNS.outside, NOT_IN_SUBGROUP, outsideY))
    for (const [column, fault] of [
      [COLUMNS.notCanonical, NOT_ON_CURVE],
      [COLUMNS.notCanonical, NOT_IN_SUBGROUP],
      [COLUMNS.notOnCurve, NOT_CANONICAL],
      [COLUMNS.outside, NOT_CANONICAL],
      [COLUMNS.outside, NOT_ON_CURVE],
      [COLUMNS.good, NOT_CANONICAL],
      [COLUMNS.good, NOT_ON_CURVE],
      [COLUMNS.infinity, NOT_CANONICAL],
      [COLUMNS.infinity, NOT_ON_CURVE],
    ] as const)
      await revertsWith(dispute(column, fault), court, 'PointIsValid')
    const goodY = g1Uncompress(blob.leaf(0, COLUMNS.good).proof).slice(64)
    await revertsWith(dispute(COLUMNS.good, NOT_IN_SUBGROUP, goodY), court, 'PointIsValid')
    await revertsWith(dispute(COLUMNS.good, NOT_IN_SUBGROUP, outsideY), court, 'PointNotOnCurve')
    await revertsWith(dispute(COLUMNS.infinity, NOT_IN_SUBGROUP, new Uint8Array(64)), court, 'PointIsValid')
    await revertsWith(dispute(COLUMNS.infinity, NOT_IN_SUBGROUP, outsideY), court, 'PointMismatch')
    await revertsWith(dispute(COLUMNS.notOnCurve, NOT_IN_SUBGROUP, outsideY), court, 'PointNotOnCurve')
    const negative = getBytes(toBeHex(FP_ORDER - wild.y, 64))
    await revertsWith(dispute(COLUMNS.outside, NOT_IN_SUBGROUP, negative), court, 'PointMismatch')
  })

  it('error: starved of gas, the subgroup check of a good point never convicts', async () => {
    const court = system.court.connect(system.reporter)
    const leaf = blob.leaf(0, COLUMNS.good)
    const y = g1Uncompress(leaf.proof).slice(64)
    for (let gasLimit = 90_000n; gasLimit < 420_000n; gasLimit += 5_003n)
      await assert.rejects(court.disputeProofPoint.staticCall(leaf, NOT_IN_SUBGROUP, y, { gasLimit }))
  })

  it('behavior: a cell of another length convicts; the leaf of a cell that fits is never one', async () => {
    const court = system.court.connect(system.reporter)
    await system.rolledBack(async () => {
      const honest = await encodeMatrix([randomBlob(2)])
      const short = randomBytes(2047, 5)
      const published = await publishWithShortCell(honest, COLUMNS.short, short)
      const faultId = await court.faultIdOf(published.blobId, COLUMNS.short)
      await court.disputeScalar(published.leaf, 0)
      assert.equal((await court.verdictOf(faultId)).due, true)
    })
  })

  it('behavior: a commitment that is no point convicts all that attested; punish goes on where it stopped', async () => {
    const { court, staking, committee, members, disperser, da, reporter } = system
    await system.rolledBack(async () => {
      const honest = await encodeMatrix([randomBlob(3), randomBlob(4)])
      const matrix = { ...honest, commitments: [at(honest.commitments, 0), withoutPoint()] }
      const wrong = await publish(system, matrix, 9n)
      await confirmBlob(system, wrong.blobId, [0, 1, 2, 3, 4])
      const asReporter = court.connect(reporter)
      const dispute = (blobIndex: number, fault: number) =>
        asReporter.disputeCommitmentPoint(
          wrong.blobId,
          blobIndex,
          wrong.commitmentLeaf(blobIndex),
          fault,
          '0x',
        )
      await revertsWith(dispute(0, NOT_ON_CURVE), court, 'PointIsValid')
      await revertsWith(dispute(1, NOT_CANONICAL), court, 'PointIsValid')
      await dispute(1, NOT_ON_CURVE)
      const faultId = await court.faultIdOf(wrong.blobId, 128)
      assert.equal((await da.blobOf(wrong.blobId)).forfeited, 2n ** 128n - 1n)

      await court.punish(faultId, 0)
      assert.deepEqual(
        [(await court.verdictOf(faultId)).opened, (await court.verdictOf(faultId)).guilty],
        [true, 0b11111n],
      )
      const operators: unknown[] = []
      while ((await court.verdictOf(faultId)).due) {
        const punished = await eventsOf(court.punish(faultId, 2), court, 'Punished')
        assert.ok(punished.length > 0 && punished.length <= 2)
        operators.push(...punished.map(({ operator }) => operator))
      }
      assert.deepEqual(operators, [disperser.address, ...members.map(({ signer }) => signer.address)])
      await revertsWith(court.punish(faultId, 2), court, 'NothingToPunish')
      for (const { signer, stakeWei } of members)
        assert.equal(await staking.backing(signer, committee), (stakeWei * 8_000n) / 10_000n)
      assert.equal(await staking.backing(disperser, da), BOND_WEI)

      await revertsWith(dispute(1, NOT_ON_CURVE), court, 'AlreadyConvicted')
    })
  })

  it('behavior: two wrong columns of one blob are two verdicts, and nobody pays twice', async () => {
    const { court, staking, da, disperser, reporter } = system
    await system.rolledBack(async () => {
      const asReporter = court.connect(reporter)
      await asReporter.disputeScalar(blob.leaf(0, COLUMNS.scalar), 17)
      await asReporter.disputeProofPoint(blob.leaf(0, COLUMNS.notOnCurve), NOT_ON_CURVE, '0x')
      const first = await court.faultIdOf(blob.blobId, COLUMNS.scalar)
      const second = await court.faultIdOf(blob.blobId, COLUMNS.notOnCurve)
      await court.punish(first, 10)
      const backingWei = await staking.backing(disperser, da)
      const punished = await eventsOf(court.punish(second, 10), court, 'Punished')
      assert.equal(await staking.backing(disperser, da), backingWei)
      assert.ok(punished.every(({ operator }) => operator !== disperser.address))
      assert.equal((await court.verdictOf(second)).due, false)
    })
  })

  it('behavior: an unconfirmed blob costs its disperser alone', async () => {
    const { court, disperser } = system
    await system.rolledBack(async () => {
      const honest = await encodeMatrix([randomBlob(1)])
      const matrix = { ...honest, commitments: [flagged(1n, 0)] }
      const alone = await publish(system, matrix, 12n)
      await court.disputeCommitmentPoint(alone.blobId, 0, alone.commitmentLeaf(0), NOT_CANONICAL, '0x')
      const faultId = await court.faultIdOf(alone.blobId, 128)
      const punished = await eventsOf(court.punish(faultId, 10), court, 'Punished')
      assert.deepEqual(
        punished.map(({ operator }) => operator),
        [disperser.address],
      )
    })
  })

  it('error: unknown faults', async () => {
    const { court } = system
    const faultId = await court.faultIdOf(blob.blobId, COLUMNS.good)
    await revertsWith(court.punish(faultId, 1), court, 'FaultUnknown', [faultId])
    assert.equal((await court.verdictOf(faultId)).due, false)
  })

  /** A header whose leaf at `column` is the hash of a cell that is too short. */
  async function publishWithShortCell(honest: Matrix, column: number, short: Uint8Array) {
    const hasher = await loadHasher()
    const { proof } = at(at(honest.columns, column), 0)
    const leafHash = hasher.keccak256(
      Uint8Array.from([0, 0, 0, column, ...proof, ...hasher.keccak256(short)]),
    )
    const roots = honest.columns.map((cells, k) => (k === column ? leafHash : columnRoot(hasher, k, cells)))
    const levels = cellsLevels(hasher, roots)
    const header = { ...(await headerOf(system, honest, 20n)), cellsRoot: toHex(treeRoot(levels)) }
    const { signature } = await signHeader(system.disperser, header)
    await system.da.connect(system.disperser).submit(header, signature, { value: ETHER })
    const within = treePath(columnLevels(hasher, column, at(honest.columns, column)), 0)
    const path = cellPath(within, treePath(levels, column))
    const blobId = blobIdOf(header)
    return { blobId, leaf: { blobId, blobIndex: 0, column, proof, cell: short, path } }
  }
})

describe('DaCourt deployment', () => {
  it('error: a chain without the precompiles, or with parameters that make no sense', async () => {
    const { ethers } = await network.create({ override: { hardfork: 'cancun' } })
    const [deployer] = await ethers.getSigners()
    assert.ok(deployer !== undefined)
    const nobody = '0x00000000000000000000000000000000000000aa'
    const missing = new DaCourt__factory(deployer).deploy(nobody, nobody, nobody, nobody, COURT_PARAMS)
    await revertsWith(missing, new PrecompileHarness__factory().attach(nobody), 'PrecompileFailed', [0x0bn])
    await revertsWith(
      new PrecompileHarness__factory(deployer).deploy(),
      new PrecompileHarness__factory().attach(nobody),
      'PrecompileFailed',
      [0x0bn],
    )
    for (const wrong of [
      { attesterSlashBps: 0n, reporterBps: 1n },
      { attesterSlashBps: 10_001n, reporterBps: 1n },
      { attesterSlashBps: 1n, reporterBps: 5_001n },
    ]) {
      const factory = new DaCourt__factory(deployer)
      await revertsWith(factory.deploy(nobody, nobody, nobody, nobody, wrong), factory, 'InvalidParams')
    }
  })
})
