import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { encodeBytes32String } from 'ethers'
import {
  Beacon__factory,
  ReentrantReceiverMock__factory,
  StorageStreams__factory,
} from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { revertsWith } from '../../support/reverts.ts'
import { currentPeriod, enterPeriod } from '../../support/storage-fixture.ts'

const PERIOD_BLOCKS = 24n
const BUCKET_PERIODS = 5n
const LOCK_PERIODS = 64n
const BOND_WEI = 10n ** 16n
const DRAWS = 9n

/** The vault alone: accounts of the test stand where flow, market and prover stand. */
async function deployStreams() {
  const chain = await createChain()
  const deployer = chain.signer(0)
  const startBlock = (await chain.head()) + 1n
  const beacon = await new Beacon__factory(deployer).deploy(startBlock, PERIOD_BLOCKS, 2, true)
  const streams = await new StorageStreams__factory(deployer).deploy(beacon, BUCKET_PERIODS, LOCK_PERIODS)
  const [flow, market, prover] = [chain.signer(1), chain.signer(2), chain.signer(3)]
  await streams.wire(flow, market, prover)
  return {
    chain,
    clock: { startBlock, periodBlocks: PERIOD_BLOCKS, bucketPeriods: BUCKET_PERIODS },
    beacon,
    streams,
    deployer,
    flow,
    market,
    prover,
    owner: chain.signer(4),
    alice: chain.signer(5),
    bob: chain.signer(6),
    stranger: chain.signer(7),
    mineTo: chain.mineTo,
  }
}
type Vault = Awaited<ReturnType<typeof deployStreams>>

let vault: Vault
beforeEach(async () => {
  vault = await deployStreams()
})

type Terms = { txSeq?: bigint; depositWei?: bigint; gross?: bigint; end?: bigint; slashNeedWei?: bigint }

/** A deal of Alice (700 wei a period) and Bob (200), 100 for the pot. */
async function openDeal({
  txSeq = 0n,
  depositWei = 100_000n,
  gross = 1000n,
  end,
  slashNeedWei = 0n,
}: Terms = {}) {
  const { streams, flow, market, owner, alice, bob } = vault
  await streams.connect(flow).deposit(txSeq, { value: depositWei })
  const startPeriod = (await currentPeriod(vault)) + 1n
  const endPeriod = end ?? 10n
  await streams.connect(market).openDeal(
    { txSeq, owner, startPeriod, endPeriod, grossPerPeriod: gross, slashNeedWei },
    [
      { provider: alice, ratePerPeriod: 700n },
      { provider: bob, ratePerPeriod: 200n },
    ],
    { value: BOND_WEI },
  )
  return { startPeriod, endPeriod, spentWei: gross * (endPeriod - startPeriod) }
}

/** Enters `period` and opens its round; the stranger pins. */
async function openRound(period: bigint) {
  await enterPeriod(vault, period)
  await vault.streams.connect(vault.prover).openRound(period, DRAWS, vault.stranger)
}

async function conserved() {
  const { streams, chain } = vault
  const sums = [
    await streams.escrowWei(),
    await streams.streamingWei(),
    await streams.potWei(),
    await streams.bondsWei(),
    await streams.creditsWei(),
  ]
  const balance = await chain.ethers.provider.getBalance(streams)
  assert.equal(
    sums.reduce((sum, part) => sum + part, 0n),
    balance,
  )
}

describe('StorageStreams: deals', () => {
  it('default: a deal spends its gross rate over its periods; the remainder is the owner’s', async () => {
    const { streams, owner } = vault
    const { spentWei } = await openDeal({ depositWei: 100_777n })
    assert.equal(await streams.escrowOf(0n), 0n)
    assert.equal(await streams.streamingWei(), spentWei)
    assert.equal(await streams.creditOf(owner), 100_777n - spentWei)
    assert.equal(await streams.bondsWei(), BOND_WEI)
    const [credited] = await streams.queryFilter(streams.filters.Credited(owner))
    assert.equal(credited?.args.reason, encodeBytes32String('remainder'))
    await conserved()
  })

  it('behavior: only opened periods pay; the pot gets its share of all, and all of the others', async () => {
    const { streams, alice, bob } = vault
    const { startPeriod, endPeriod, spentWei } = await openDeal()
    for (const period of [startPeriod, startPeriod + 2n, endPeriod - 1n]) await openRound(period)
    await enterPeriod(vault, endPeriod + 3n)
    await streams.claim(alice, 64)
    await streams.claim(bob, 64)
    await streams.advancePot(64)
    assert.equal(await streams.creditOf(alice), 3n * 700n)
    assert.equal(await streams.creditOf(bob), 3n * 200n)
    assert.equal(await streams.streamingWei(), 0n)
    const pinnedWei = await streams.creditOf(vault.stranger)
    assert.equal((await streams.potWei()) + pinnedWei, spentWei - 3n * 900n)
    assert.deepEqual([...(await streams.rateOf(alice))], [0n, 0n])
    await conserved()
  })

  it('behavior: nothing is claimable of the present period; a second claim pays nothing', async () => {
    const { streams, alice } = vault
    const { startPeriod } = await openDeal()
    await openRound(startPeriod)
    assert.deepEqual([...(await streams.claimable(alice))], [0n, startPeriod])
    await streams.claim(alice, 64)
    assert.equal(await streams.creditOf(alice), 0n)
    await enterPeriod(vault, startPeriod + 1n)
    await streams.claim(alice, 64)
    await streams.claim(alice, 64)
    assert.equal(await streams.creditOf(alice), 700n)
    await conserved()
  })

  it('behavior: rates, lock and need before, within and after a deal', async () => {
    const { streams, alice } = vault
    const { startPeriod, endPeriod } = await openDeal({ slashNeedWei: 10n ** 12n })
    assert.deepEqual([...(await streams.rateOf(alice))], [0n, 700n])
    assert.equal(await streams.lockOf(alice), LOCK_PERIODS * 700n)
    assert.equal(await streams.needOf(alice), 10n ** 12n)
    await enterPeriod(vault, startPeriod, 2n)
    assert.deepEqual([...(await streams.rateOf(alice))], [700n, 700n])
    await enterPeriod(vault, endPeriod - 1n, 2n)
    assert.deepEqual([...(await streams.rateOf(alice))], [700n, 0n])
    await enterPeriod(vault, endPeriod, 2n)
    assert.equal(await streams.lockOf(alice), 0n)
    assert.equal(await streams.needOf(alice), 0n)
    // The need of the old deal is forgotten with it.
    const end = endPeriod + 10n
    await openDeal({ txSeq: 1n, end, slashNeedWei: 10n ** 9n })
    assert.equal(await streams.needOf(alice), 10n ** 9n)
  })

  it('behavior: a moved rate pays the old keeper for the present period and the new one from the next on', async () => {
    const { streams, market, alice, bob } = vault
    const { startPeriod, endPeriod } = await openDeal()
    await openRound(startPeriod)
    await streams.connect(market).moveRate(alice, bob, 300n, endPeriod, 0n)
    assert.deepEqual([...(await streams.rateOf(alice))], [700n, 400n])
    assert.deepEqual([...(await streams.rateOf(bob))], [200n, 500n])
    assert.equal(await streams.lockOf(alice), LOCK_PERIODS * 700n, 'until the boundary the lock stays')
    assert.equal(await streams.lockOf(bob), LOCK_PERIODS * 500n)
    await openRound(startPeriod + 1n)
    await enterPeriod(vault, startPeriod + 2n)
    await streams.claim(alice, 64)
    await streams.claim(bob, 64)
    assert.equal(await streams.creditOf(alice), 700n + 400n)
    assert.equal(await streams.creditOf(bob), 200n + 500n)
    await conserved()
  })

  it('error: an escrow too small, a start or an end that is no boundary', async () => {
    const { streams, flow, market, owner, alice } = vault
    await streams.connect(flow).deposit(3n, { value: 1000n })
    const rates = [{ provider: alice, ratePerPeriod: 1n }]
    const terms = {
      txSeq: 3n,
      owner,
      startPeriod: 1n,
      endPeriod: 10n,
      grossPerPeriod: 500n,
      slashNeedWei: 0n,
    }
    const refused = (change: object, error: string, args?: unknown[]) =>
      revertsWith(streams.connect(market).openDeal({ ...terms, ...change }, rates), streams, error, args)
    await refused({}, 'EscrowTooLow', [3n, 4500n, 1000n])
    await refused({ startPeriod: 2n }, 'InvalidParams')
    await refused({ endPeriod: 9n }, 'InvalidParams')
    await refused({ endPeriod: 0n }, 'InvalidParams')
    const move = streams.connect(market).moveRate(alice, owner, 1n, 1n, 0n)
    await revertsWith(move, streams, 'InvalidParams')
  })
})

describe('StorageStreams: refunds, bonds, bounties', () => {
  it('behavior: a refund is the whole escrow, a bond goes back whole, both by pull', async () => {
    const { streams, flow, market, owner, alice, chain } = vault
    await streams.connect(flow).deposit(1n, { value: 500n })
    await streams.connect(market).deposit(1n, { value: 250n })
    await streams.connect(market).refund(1n, owner)
    assert.equal(await streams.creditOf(owner), 750n)
    await openDeal()
    await streams.connect(market).releaseBond(alice, BOND_WEI)
    assert.equal(await streams.creditOf(alice), BOND_WEI)
    assert.equal(await streams.bondsWei(), 0n)
    await conserved()

    const nobody = streams.connect(alice).withdraw(`0x${'00'.repeat(20)}`)
    await revertsWith(nobody, streams, 'ZeroAddress')
    const before = await chain.ethers.provider.getBalance(chain.signer(9))
    await streams.connect(alice).withdraw(chain.signer(9))
    assert.equal((await chain.ethers.provider.getBalance(chain.signer(9))) - before, BOND_WEI)
    await revertsWith(streams.connect(alice).withdraw(alice), streams, 'NothingToWithdraw', [alice.address])
    await conserved()
  })

  it('behavior: a round’s bounties never exceed its pot', async () => {
    const { streams, prover, bob } = vault
    const { startPeriod } = await openDeal()
    await openRound(startPeriod + 3n)
    const [funded] = await streams.queryFilter(streams.filters.RoundFunded(startPeriod + 3n))
    assert.ok(funded)
    const { potWei, bountyWei } = funded.args
    assert.equal(potWei, 300n)
    assert.equal(bountyWei, 30n)
    for (let draw = 0n; draw < DRAWS; draw++) await streams.connect(prover).payBounty(bob, bountyWei)
    assert.equal(await streams.potWei(), 0n)
    const more = streams.connect(prover).payBounty(bob, 1n)
    await revertsWith(more, streams, 'PotTooLow', [1n, 0n])
    const again = streams.connect(prover).openRound(startPeriod + 3n, DRAWS, bob)
    await revertsWith(again, streams, 'RoundAlreadyOpen', [startPeriod + 3n])
    await conserved()
  })

  it('behavior: forfeited, suspended and reinstated periods go to the pot', async () => {
    const { streams, prover, alice } = vault
    const { startPeriod: first } = await openDeal({ end: 20n })
    await openRound(first)
    await openRound(first + 1n)
    await streams.connect(prover).forfeit(alice)
    await openRound(first + 2n)
    await openRound(first + 3n)
    await streams.connect(prover).suspend(alice)
    await streams.connect(prover).forfeit(alice)
    assert.ok(await streams.isSuspended(alice), 'a forfeit does not lift a suspension')
    await openRound(first + 4n)
    await openRound(first + 5n)
    await streams.connect(prover).reinstate(alice)
    await openRound(first + 6n)
    await enterPeriod(vault, first + 7n)
    await streams.claim(alice, 64)
    assert.equal(await streams.creditOf(alice), 3n * 700n, 'periods 0, 2 and 6 of 7')
    const claimed = await streams.queryFilter(streams.filters.Claimed(alice))
    assert.equal(
      claimed.reduce((sum, { args }) => sum + args.forfeitedWei, 0n),
      4n * 700n,
    )
    await conserved()
  })

  it('error: a receiver that refuses keeps its credit; one that calls again gets nothing twice', async () => {
    const { streams, flow, market, deployer, chain } = vault
    const receiver = await new ReentrantReceiverMock__factory(deployer).deploy(streams)
    await streams.connect(flow).deposit(1n, { value: 500n })
    await streams.connect(flow).deposit(2n, { value: 900n })
    await streams.connect(market).refund(1n, receiver)
    const withdraw = streams.interface.encodeFunctionData('withdraw', [receiver.target])

    await receiver.arm('0x', true)
    await revertsWith(receiver.call(withdraw), streams, 'TransferFailed', [receiver.target, 500n])
    assert.equal(await streams.creditOf(receiver), 500n)

    await receiver.arm(withdraw, false)
    await receiver.call(withdraw)
    const { attacked, succeeded } = await receiver.outcome()
    assert.deepEqual([attacked, succeeded], [true, false])
    assert.equal(await chain.ethers.provider.getBalance(receiver), 500n)
    await conserved()
  })
})

describe('StorageStreams: silence', () => {
  it('behavior: after more than 64 buckets mutations ask for claims first, and claims are bounded', async () => {
    const { streams, prover, alice } = vault
    const { startPeriod } = await openDeal({ depositWei: 10n ** 6n, end: 500n })
    await openRound(startPeriod)
    await enterPeriod(vault, 400n)
    const limit = 64n * BUCKET_PERIODS
    await revertsWith(streams.connect(prover).forfeit(alice), streams, 'StreamBehind', [alice.address, limit])
    await revertsWith(streams.needOf(alice), streams, 'StreamBehind', [alice.address, limit])
    const open = streams.connect(prover).openRound(400n, DRAWS, alice)
    await revertsWith(open, streams, 'StreamBehind', [streams.target, limit])
    assert.deepEqual([...(await streams.claimable(alice))], [700n, limit])

    await streams.claim(alice, 10)
    await streams.claim(alice, 60)
    await streams.connect(prover).forfeit(alice)
    await streams.advancePot(20)
    await streams.advancePot(64)
    await streams.connect(prover).openRound(400n, DRAWS, vault.stranger)
    assert.equal(await streams.creditOf(alice), 700n)
    await conserved()
  })

  it('behavior: an account without custody crosses any silence at once', async () => {
    const { streams, alice, prover } = vault
    await openDeal()
    await enterPeriod(vault, 900n)
    assert.equal(await streams.needOf(alice), 0n)
    await streams.connect(prover).forfeit(alice)
    assert.deepEqual([...(await streams.claimable(alice))], [0n, 900n])
  })
})

describe('StorageStreams: who may', () => {
  it('error: every instruction from anybody else', async () => {
    const { streams, stranger, flow, market, prover } = vault
    const deal = {
      txSeq: 0n,
      owner: stranger,
      startPeriod: 1n,
      endPeriod: 5n,
      grossPerPeriod: 0n,
      slashNeedWei: 0n,
    }
    const refused = async (call: Promise<unknown>, caller: { address: string }) =>
      revertsWith(call, streams, 'NotAuthorized', [caller.address])
    for (const caller of [stranger, prover]) {
      const as = streams.connect(caller)
      await refused(as.deposit(0n, { value: 1n }), caller)
      await refused(as.openDeal(deal, []), caller)
      await refused(as.refund(0n, caller), caller)
      await refused(as.releaseBond(caller, 1n), caller)
      await refused(as.moveRate(caller, caller, 1n, 10n, 0n), caller)
    }
    for (const caller of [stranger, market, flow]) {
      const as = streams.connect(caller)
      await refused(as.openRound(0n, 1n, caller), caller)
      await refused(as.payBounty(caller, 0n), caller)
      await refused(as.forfeit(caller), caller)
      await refused(as.suspend(caller), caller)
      await refused(as.reinstate(caller), caller)
    }
    await refused(streams.connect(flow).refund(0n, flow), flow)
  })

  it('error: wiring by another, twice, to nothing; parameters out of range', async () => {
    const { streams, beacon, deployer, stranger, flow, market, prover } = vault
    const others = [flow, market, prover] as const
    await revertsWith(streams.connect(stranger).wire(...others), streams, 'NotDeployer', [stranger.address])
    await revertsWith(streams.wire(...others), streams, 'AlreadyWired')
    const factory = new StorageStreams__factory(deployer)
    const fresh = await factory.deploy(beacon, 1, 1)
    const zero = `0x${'00'.repeat(20)}`
    await revertsWith(fresh.wire(flow, market, zero), streams, 'InvalidParams')
    for (const [bucketPeriods, lockPeriods] of [
      [0, 1],
      [1025, 1],
      [1, 0],
    ] as const) {
      await revertsWith(factory.deploy(beacon, bucketPeriods, lockPeriods), streams, 'InvalidParams')
    }
  })
})
