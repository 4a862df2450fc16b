import '@nomicfoundation/hardhat-ethers'
import assert from 'node:assert/strict'
import { type AddressLike, type ContractTransactionResponse, type Interface, id } from 'ethers'
import { network } from 'hardhat'
import {
  Beacon__factory,
  OperatorRegistry__factory,
  ReentrantReceiverMock__factory,
  StakedServiceMock__factory,
  Staking__factory,
} from '../../../typechain-types/index.js'

export const SELF = 0
export const DELEGATED = 1
export const ETHER = 10n ** 18n
export const BURN_ADDRESS = '0x000000000000000000000000000000000000dEaD'
export const ZERO_ADDRESS = `0x${'00'.repeat(20)}`
export const EPOCH_BLOCKS = 20n
export const EXIT_DELAY_BLOCKS = 40n

export type Fixture = Awaited<ReturnType<typeof createFixture>>

/** Beacon, registry and staking on a fresh in-process chain: epochs of 20 blocks from block 0, exit delay 2 epochs. */
export async function createFixture(options: { treasury?: string; startBlock?: bigint } = {}) {
  const { ethers, provider } = await network.create()
  const signers = await ethers.getSigners()
  const signer = (index: number) => {
    const found = signers[index]
    assert.ok(found, `there is no account ${index}`)
    return found
  }
  const owner = signer(0)
  const beacon = await new Beacon__factory(owner).deploy(options.startBlock ?? 0n, 10n, 2n, false)
  const registry = await new OperatorRegistry__factory(owner).deploy(beacon)
  const staking = await new Staking__factory(owner).deploy(owner.address, registry, beacon, {
    exitDelayEpochs: 2n,
    maxCommissionStepBps: 500n,
    treasury: options.treasury ?? ZERO_ADDRESS,
  })
  const stakingAddress = await staking.getAddress()

  // One by one: blocks of `hardhat_mine` may have prevRandao zero.
  const mine = async (blocks: bigint) => {
    for (let i = 0n; i < blocks; i++) await provider.request({ method: 'evm_mine', params: [] })
  }
  const head = async () => BigInt(await ethers.provider.getBlockNumber())

  return {
    ethers,
    provider,
    signer,
    owner,
    beacon,
    registry,
    staking,
    stakingAddress,
    mine,
    head,
    balanceOf: (address: string) => ethers.provider.getBalance(address),
    /** Mines so that the next transaction lands in the first block of the next epoch. */
    async mineToNextEpoch() {
      const next = ((await head()) / EPOCH_BLOCKS + 1n) * EPOCH_BLOCKS
      await mine(next - 1n - (await head()))
    },
    async newService(pool: number, faultWindowBlocks = EXIT_DELAY_BLOCKS) {
      const service = await new StakedServiceMock__factory(owner).deploy(staking)
      await staking.registerService(service, pool, id('kind'), faultWindowBlocks)
      return service
    },
    async newOperator(index: number) {
      await registry.connect(signer(index)).register(`ipfs://operator-${index}`)
      return signer(index)
    },
    newReceiver: () => new ReentrantReceiverMock__factory(owner).deploy(staking),
    /** Pools + claimable + burnable = accounted <= balance (invariant 1), over all test accounts and `others`. */
    async assertConserved(...others: string[]) {
      let sumWei = await staking.burnableWei()
      for (const account of [...signers.map(({ address }) => address), ...others]) {
        sumWei += await staking.claimable(account)
        for (const pool of [SELF, DELEGATED]) sumWei += (await staking.poolOf(account, pool)).tokensWei
      }
      assert.equal(sumWei, await staking.accountedWei())
      assert.ok((await ethers.provider.getBalance(stakingAddress)) >= sumWei)
    },
    /** In numbers: [tokens, allocated, pending at `service`, backing]. */
    async stakeAt(operator: string, service: AddressLike) {
      const { pool } = await staking.serviceOf(service)
      const { tokensWei, allocatedWei } = await staking.poolOf(operator, pool)
      const { pendingWei } = await staking.allocationOf(operator, service)
      return [tokensWei, allocatedWei, pendingWei, await staking.backing(operator, service)]
    },
  }
}

/** Arguments of the only event of that name which the transaction emitted from `contract`. */
export async function eventOf(
  sent: Promise<ContractTransactionResponse>,
  contract: { interface: Interface },
  name: string,
) {
  const events = await eventsOf(sent, contract, name)
  assert.equal(events.length, 1, `${events.length} events ${name}`)
  return events[0] ?? {}
}

/** Arguments of all events of that name which the transaction emitted, in order. */
export async function eventsOf(
  sent: Promise<ContractTransactionResponse>,
  contract: { interface: Interface },
  name: string,
): Promise<Record<string, unknown>[]> {
  const receipt = await (await sent).wait()
  const found: Record<string, unknown>[] = []
  for (const log of receipt?.logs ?? []) {
    const parsed = contract.interface.parseLog(log)
    if (parsed?.name === name) found.push(parsed.args.toObject())
  }
  return found
}
