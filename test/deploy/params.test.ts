import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DeployParams } from '../../deploy/deploy-params.ts'
import { networkByName } from '../../deploy/networks.ts'

const DAY_SEC = 86_400
const BLOCK_SECS = [0.4, 0.5, 1, 2.3, 12, 30]

function assertSound(params: DeployParams) {
  const { beacon, prover, streams, market, da } = params
  const { blobs } = da
  assert.ok(blobs.softColumns >= blobs.softAdversary + 64 && blobs.finalColumns >= blobs.finalAdversary + 64)
  assert.ok(blobs.minRetentionPeriods >= Math.ceil(blobs.confirmBlocks / beacon.periodBlocks) + 2)
  assert.ok(blobs.maxRetentionPeriods >= blobs.minRetentionPeriods + streams.bucketPeriods - 1)
  assert.ok(
    blobs.maxRetentionPeriods + blobs.disputePeriods + beacon.epochPeriods <=
      params.staking.exitDelayEpochs * beacon.epochPeriods,
    'whoever attests can be slashed until the disputes end',
  )
  assert.ok(3 * da.prover.windowBlocks <= beacon.periodBlocks, 'the three windows of DA fit into a period')
  assert.ok(3 * prover.windowBlocks <= beacon.periodBlocks, 'the three windows fit into a period')
  assert.ok(
    market.minTermPeriods < market.defaultTermPeriods && market.defaultTermPeriods < market.maxTermPeriods,
  )
  const { inference, jobs, faultWindowBlocks } = params.compute
  assert.ok(jobs.bondBps <= 10_000 && jobs.arbiterBps <= 5_000 && jobs.stepBps > 0 && jobs.minBondWei > 0n)
  assert.ok(jobs.minWorkSec > 0 && jobs.minWorkSec < jobs.maxDurationSec && jobs.challengeSec > 0)
  assert.ok(inference.faultSlashWei <= inference.minProviderStakeWei && inference.userBps <= 5_000)
  assert.ok(inference.lockSec >= 60 && inference.lockSec <= 7 * DAY_SEC)
  assert.ok(faultWindowBlocks > 0 && inference.noticeSec > 0 && inference.answerSec > 0)
  assert.ok(prover.maxStrikes <= 8, 'the strike ring has eight places')
  const limits: [string, number, number][] = [
    ['periodBlocks', beacon.periodBlocks, 2 ** 32],
    ['epochPeriods', beacon.epochPeriods, 2 ** 32],
    ['bucketPeriods', streams.bucketPeriods, 2 ** 32],
    ['lockPeriods', streams.lockPeriods, 2 ** 16],
    ['targetDraws', prover.targetDraws, 2 ** 16],
    ['windowBlocks', prover.windowBlocks, 2 ** 32],
    ['strikeWindowPeriods', prover.strikeWindowPeriods, 2 ** 32],
    ['maxTermPeriods', market.maxTermPeriods, 2 ** 32],
    ['sealDeadlineBlocks', market.sealDeadlineBlocks, 2 ** 32],
    ['exitDelayEpochs', params.staking.exitDelayEpochs, 2 ** 32],
  ]
  for (const [name, value, limit] of limits) {
    assert.ok(Number.isInteger(value) && value > 0 && value < limit, `${name} is ${value}`)
  }
}

describe('params', () => {
  for (const name of ['galileo', 'sepolia']) {
    it(`behavior: ${name} keeps its hours and days at any block time`, () => {
      for (const blockSec of BLOCK_SECS) {
        const params = networkByName(name).resolve({ blockSec, prevRandaoVaries: true })
        assertSound(params)
        const periodSec = params.beacon.periodBlocks * blockSec
        const windowSec = params.prover.windowBlocks * blockSec
        assert.ok(windowSec >= 599, `a window of ${windowSec} s at ${blockSec} s a block`)
        assert.ok(params.prover.windowBlocks >= 50)
        assert.ok(periodSec >= 3_599 && periodSec < 3_700 + 150 * blockSec, `a period of ${periodSec} s`)
        const epochSec = params.beacon.epochPeriods * periodSec
        assert.ok(Math.abs(epochSec - DAY_SEC) <= periodSec / 2 + 1, `an epoch of ${epochSec} s`)
        assert.equal(params.streams.bucketPeriods, params.beacon.epochPeriods)
      }
    })
  }

  it('default: localhost has the small counts of a devnet', () => {
    const params = networkByName('localhost').resolve({ blockSec: 0, prevRandaoVaries: true })
    assertSound(params)
    assert.equal(params.beacon.periodBlocks, 24)
    assert.equal(params.prover.windowBlocks, 8)
  })

  it('behavior: where prevRandao is constant the block hash serves', () => {
    for (const name of ['localhost', 'galileo', 'sepolia']) {
      const of = (prevRandaoVaries: boolean) => networkByName(name).resolve({ blockSec: 1, prevRandaoVaries })
      assert.equal(of(true).beacon.usesBlockHash, false)
      assert.equal(of(false).beacon.usesBlockHash, true)
    }
  })

  it('error: an unknown network names those there are', () => {
    assert.throws(
      () => networkByName('mainnet'),
      /unknown network "mainnet": one of localhost, galileo, sepolia/,
    )
  })
})
