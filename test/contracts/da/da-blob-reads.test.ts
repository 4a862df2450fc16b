import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { DataAvailability__factory } from '../../../typechain-types/index.js'
import { at } from '../../support/content.ts'
import { cellOf, encodeRandom, publishBlob, type Submitted, submitBlob } from '../../support/da-blobs.ts'
import { DA_PARAMS, type DaSystem, deployDa, structOf } from '../../support/da-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'

describe('DataAvailability: reads for dApps', () => {
  let system: DaSystem
  let blob: Submitted
  before(async () => {
    system = await deployDa()
    blob = await publishBlob(system, await encodeRandom(2 * 126_976))
    assert.equal(blob.header.blobCount, 3)
  })

  it('verifyCell: true for every corner of a confirmed blob, with its own place, bytes and path alone', async () => {
    const { da } = system
    const corners = [0, 2].flatMap((blobIndex) => [0, 63, 127].map((column) => ({ blobIndex, column })))
    for (const place of corners) {
      const { cell, proof, path } = cellOf(blob.encoded, place)
      const { blobIndex, column } = place
      const verify = (
        changes: Partial<{ blobIndex: number; column: number; cell: string; proof: string; path: string[] }>,
      ) => {
        const claim = { blobIndex, column, cell, proof, path, ...changes }
        return da.verifyCell(blob.blobId, claim.blobIndex, claim.column, claim.cell, claim.proof, claim.path)
      }
      assert.equal(await verify({}), true)
      assert.equal(await verify({ blobIndex: 1 }), false)
      assert.equal(await verify({ blobIndex: 3 }), false)
      assert.equal(await verify({ column: column ^ 1 }), false)
      assert.equal(await verify({ column: 128 }), false)
      assert.equal(await verify({ cell: proof }), false)
      assert.equal(await verify({ cell: `${cell.slice(0, -2)}${cell.endsWith('00') ? '01' : '00'}` }), false)
      assert.equal(await verify({ proof: `${proof}00` }), false)
      assert.equal(await verify({ path: path.slice(1) }), false)
      assert.equal(await verify({ path: [...path, at(path, 0)] }), false)
    }
  })

  it('verifyCell: false for a blob that nobody attested, or nobody submitted', async () => {
    const { da } = system
    const unconfirmed = await submitBlob(system, blob.encoded)
    const { cell, proof, path } = cellOf(blob.encoded, { blobIndex: 0, column: 0 })
    assert.equal(await da.verifyCell(unconfirmed.blobId, 0, 0, cell, proof, path), false)
    assert.equal(await da.verifyCell(`0x${'ab'.repeat(32)}`, 0, 0, cell, proof, path), false)
  })

  it('versionedHashOf: that of EIP-4844, proved against the header', async () => {
    const { da } = system
    for (const blobIndex of [0, 1, 2]) {
      const commitment = at(blob.encoded.commitments, blobIndex)
      const path = blob.encoded.commitmentPath(blobIndex)
      const digest = createHash('sha256').update(commitment).digest('hex')
      assert.equal(
        await da.versionedHashOf(blob.blobId, blobIndex, commitment, path),
        `0x01${digest.slice(2)}`,
      )
      const other = (blobIndex + 1) % 3
      for (const wrong of [
        da.versionedHashOf(blob.blobId, other, commitment, path),
        da.versionedHashOf(blob.blobId, blobIndex, at(blob.encoded.commitments, other), path),
        da.versionedHashOf(blob.blobId, blobIndex, commitment.slice(1), path),
        da.versionedHashOf(blob.blobId, blobIndex, commitment, path.slice(1)),
      ])
        await revertsWith(wrong, da, 'WrongCommitmentPath')
    }
    const unknown = `0x${'ab'.repeat(32)}`
    await revertsWith(da.versionedHashOf(unknown, 0, at(blob.encoded.commitments, 0), []), da, 'BlobUnknown')
  })

  it('auditOf and expiryOf: what the prover needs', async () => {
    const { da } = system
    const record = await da.blobOf(blob.blobId)
    const audit = await da.auditOf(1n)
    assert.deepEqual(
      [audit.blobId, audit.epoch, audit.confirmedAtBlock, audit.expiresAt, audit.blobCount],
      [blob.blobId, record.epoch, record.confirmedAtBlock, blob.header.expiresAt, 3n],
    )
    assert.deepEqual([audit.columns, audit.cellsRoot], [record.columns, blob.header.cellsRoot])
    assert.equal(await da.expiryOf(1n), blob.header.expiresAt)
    assert.equal((await da.auditOf(9n)).blobCount, 0n)
  })
})

describe('DataAvailability: on what terms', () => {
  it('error: parameters under which it could not keep its laws', async () => {
    const { beacon, staking, committee, deployer } = await deployDa({ members: 0 })
    const factory = new DataAvailability__factory(deployer)
    const deploy = (change: Partial<typeof DA_PARAMS>) =>
      factory.deploy(beacon, staking, committee, { ...DA_PARAMS, ...change })
    const fresh = await deploy({})
    const params = structOf(await fresh.params())
    for (const [name, value] of Object.entries(params))
      assert.equal(value, DA_PARAMS[name as keyof typeof DA_PARAMS], name)
    assert.equal(Object.keys(params).length, 13)

    const unsafe = async (change: Partial<typeof DA_PARAMS>, args: bigint[]) =>
      revertsWith(deploy(change), fresh, 'UnsafeQuorum', args)
    await unsafe({ softColumns: 85n }, [85n, 22n])
    await unsafe({ softAdversary: 23n }, [86n, 23n])
    await unsafe({ finalColumns: 106n }, [106n, 43n])
    await unsafe({ finalAdversary: 44n }, [107n, 44n])
    await deploy({ softColumns: 64n, softAdversary: 0n, finalColumns: 128n, finalAdversary: 64n })

    for (const change of [
      { bondWei: 0n },
      { confirmBlocks: 0n },
      { confirmBlocks: 2n ** 24n },
      { bucketPeriods: 0n },
      { disputePeriods: 0n },
      { maintenanceBps: 10_001n },
      { unconfirmedBps: 10_001n },
      { finalColumns: 129n },
      { softColumns: 108n, softAdversary: 0n },
      { minRetentionPeriods: 2n },
      { confirmBlocks: 25n },
      { maxRetentionPeriods: 6n },
    ])
      await revertsWith(deploy(change), fresh, 'InvalidParams')
  })

  it('error: stake that could leave before the last fault it answers for can be proved', async () => {
    const { beacon, staking, committee, deployer, params } = await deployDa({ members: 0 })
    const exitPeriods = params.exitDelayEpochs * params.epochPeriods
    const factory = new DataAvailability__factory(deployer)
    const longest = exitPeriods - params.epochPeriods - params.disputePeriods
    await factory.deploy(beacon, staking, committee, { ...DA_PARAMS, maxRetentionPeriods: longest })
    const deploy = factory.deploy(beacon, staking, committee, {
      ...DA_PARAMS,
      maxRetentionPeriods: longest + 1n,
    })
    await revertsWith(deploy, { interface: factory.interface }, 'ExitDelayTooShort', [
      exitPeriods + 1n,
      exitPeriods,
    ])
  })
})
