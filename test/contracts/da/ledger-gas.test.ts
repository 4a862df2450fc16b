import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ContractTransactionResponse } from 'ethers'
import type { BlobHeader } from '../../../sdk/protocol/blob-header.ts'
import {
  cellOf,
  draftConfirmation,
  type EncodedBlob,
  encodeRandom,
  publishBlob,
  type Submitted,
  submitBlob,
} from '../../support/da-blobs.ts'
import { locateDaDraw } from '../../support/da-draws.ts'
import { type DaSystem, deployDa } from '../../support/da-fixture.ts'
import { compareGas, type GasFigure } from '../../support/gas-snapshot.ts'
import { currentPeriod, enterPeriod } from '../../support/storage-fixture.ts'

const figures: Record<string, GasFigure> = {}

async function gasOf(transaction: Promise<ContractTransactionResponse>): Promise<bigint> {
  const receipt = await (await transaction).wait()
  assert.equal(receipt?.status, 1)
  return receipt.gasUsed
}

const dearest = (gas: readonly bigint[]) => BigInt(Math.max(...gas.map(Number)))

describe('gas of blobs, 128 keys', () => {
  let system: DaSystem
  let encoded: EncodedBlob
  before(async () => {
    system = await deployDa({ members: 128, params: { minStakeWei: 10n ** 15n } })
    encoded = await encodeRandom(1000)
  })

  async function confirmGas(signers: number, changes: Partial<BlobHeader> = {}) {
    const blob = await submitBlob(system, encoded, { changes })
    return gasOf(system.da.confirm(await draftConfirmation(system, blob, system.members.slice(0, signers))))
  }

  it('behavior: submit, and confirm by a soft quorum, a final one, everybody, and into a new bucket', async () => {
    await confirmGas(107)
    for (const signers of [86, 107, 128]) {
      figures[`DataAvailability.confirm, ${signers} of 128 keys`] = {
        gas: await confirmGas(signers),
        limit: 320_000n,
      }
    }
    const expiresAt = ((await currentPeriod(system)) / 5n + 3n) * 5n
    figures['DataAvailability.confirm, 107 of 128 keys, first of a bucket'] = {
      gas: await confirmGas(107, { expiresAt }),
      limit: 320_000n,
    }
    const blob = await submitBlob(system, encoded)
    const [event] = await system.da.queryFilter(system.da.filters.BlobSubmitted(blob.blobId))
    const receipt = await event?.getTransactionReceipt()
    assert.ok(receipt)
    figures['DataAvailability.submit'] = { gas: receipt.gasUsed }
  })

  it('behavior: the fee of a blob shared among 128 members', async () => {
    const blob = await publishBlob(system, encoded)
    await enterPeriod(system, blob.header.expiresAt + system.params.disputePeriods)
    figures['DataAvailability.claim, 128 members'] = { gas: await gasOf(system.da.claim(blob.blobId)) }
  })
})

for (const { blobCount, limit } of [
  { blobCount: 16, limit: 130_000n },
  { blobCount: 256, limit: 138_000n },
]) {
  describe(`gas of audits, ${blobCount} blobs under a header`, () => {
    let system: DaSystem
    let blob: Submitted
    let period: bigint
    before(async () => {
      system = await deployDa()
      blob = await publishBlob(system, await encodeRandom(blobCount * 126_976 - 31))
      assert.equal(blob.header.blobCount, blobCount)
      period = (await currentPeriod(system)) + 1n
      // So that there is a pot for bounties.
      const late = await submitBlob(system, blob.encoded)
      await system.chain.mineTo((await system.head()) + system.params.confirmBlocks)
      await system.da.refund(late.blobId)
      period = (await currentPeriod(system)) + 1n
      await enterPeriod(system, period)
      figures[`DaProver.openRound, ${blobCount} blobs`] = {
        gas: await gasOf(system.prover.connect(system.reporter).openRound(period, '0x')),
      }
    })

    it('behavior: an answer and a miss', async () => {
      const { prover, reporter, params } = system
      assert.ok((await prover.round(period)).bountyWei > 0n)
      const answers: bigint[] = []
      for (let draw = 0n; draw < 6n; draw++) {
        const place = await locateDaDraw(system, [blob], { period, draw })
        assert.ok(place)
        const { cellAndProof, path } = cellOf(blob.encoded, place)
        assert.equal(path.length, 7 + Math.log2(blobCount))
        const sent = prover.connect(reporter).answer(period, draw, place.entryIndex, cellAndProof, path)
        answers.push(await gasOf(sent))
      }
      figures[`DaProver.answer, ${blobCount} blobs`] = { gas: dearest(answers), limit }

      await enterPeriod(system, period, 2n * params.windowBlocks)
      const misses: bigint[] = []
      for (let draw = 6n; draw < 8n; draw++) {
        misses.push(await gasOf(prover.connect(reporter).reportMiss(period, draw, 0n)))
      }
      figures[`DaProver.reportMiss, ${blobCount} blobs`] = { gas: dearest(misses) }
    })
  })
}

describe('gas snapshot', () => {
  after(() => {
    if (process.env.SHOW_GAS === '1') console.table(figures)
  })

  it('default: nothing is over its limit or has grown by more than 2 %', () =>
    compareGas('data availability ledger', figures))
})
