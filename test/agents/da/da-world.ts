import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { JsonRpcProvider, keccak256, Network, type Wallet } from 'ethers'
import { startDaAgent } from '../../../agents/da/agent.ts'
import { deriveBlsKey } from '../../../agents/da/bls-key.ts'
import { g2Point } from '../../../agents/da/bls-points.ts'
import { daEnv } from '../../../agents/da/config.ts'
import { loadConfig } from '../../../agents/kernel/config.ts'
import { deployAll } from '../../../deploy/deploy-all.ts'
import type { NetworkParams } from '../../../deploy/deploy-params.ts'
import { devAccount } from '../../../deploy/dev-account.ts'
import { localhost } from '../../../deploy/params/localhost.ts'
import { toJson } from '../../../deploy/write-file.ts'
import { parseAddressBook } from '../../../sdk/chain/address-book.ts'
import { type ChainCall, chainCall } from '../../../sdk/chain/chain-call.ts'
import { connectChain } from '../../../sdk/chain/connect.ts'
import { registerMemberCall } from '../../../sdk/chain/da-calls.ts'
import { connectDa, DA_SERVICE, type DaChain } from '../../../sdk/chain/da-chain.ts'
import { readActiveEpoch } from '../../../sdk/chain/da-committee.ts'
import { registerCall } from '../../../sdk/chain/operators.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { allocateCall, delegateCall, stakeCall } from '../../../sdk/chain/staking.ts'
import { blsKeyDigest, committeeDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { fromHex } from '../../../sdk/protocol/hex.ts'
import { startAnvil } from '../../support/anvil.ts'
import { at } from '../../support/content.ts'
import { freePort, type RunningProcess, startProcess } from '../../support/processes.ts'
import { startRedis } from '../../support/redis.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'

const SEAT_STAKE_WEI = 10n ** 20n
const FIRST_NODE = 10
const MINE_BLOCKS = 100
const MAIN = join(import.meta.dirname, '../../../agents/da/main.js')

export type DaAgent = Awaited<ReturnType<typeof startDaAgent>>

/** A node of the network under test: registered, staked and bonded, its agent running or not. */
export type WorldNode = {
  readonly wallet: Wallet
  readonly url: string
  readonly dataDir: string
  /** Variables for an agent of this node. */
  env(change?: Record<string, string>): Record<string, string>
  /** Starts the agent inside this process. */
  start(change?: Record<string, string>): Promise<DaAgent>
  /** Starts the agent in a process of its own and waits until it serves. */
  spawn(change?: Record<string, string>): Promise<RunningProcess>
}

export type DaWorld = Awaited<ReturnType<typeof startDaWorld>>

/** A real chain with the real contracts, a real Redis, and operators that are registered, staked and bonded. */
export async function startDaWorld({
  nodes: count = 6,
  pricePerBlobPeriodWei,
}: {
  nodes?: number
  pricePerBlobPeriodWei?: bigint
} = {}) {
  const redis = await startRedis()
  const anvil = await startAnvil({
    args: ['--accounts', '40', '--balance', '1000000', '--hardfork', 'prague'],
  })
  const rpc = new JsonRpcProvider(anvil.rpcUrl, Network.from(31_337), {
    staticNetwork: true,
    pollingInterval: 30,
    cacheTimeout: -1,
    batchMaxCount: 1,
  })
  const account = (index: number): Wallet => devAccount(index, rpc)
  const network: NetworkParams = {
    ...localhost,
    resolve: (measured) => {
      const params = localhost.resolve(measured)
      if (pricePerBlobPeriodWei === undefined) return params
      return { ...params, da: { ...params.da, blobs: { ...params.da.blobs, pricePerBlobPeriodWei } } }
    },
  }
  const { book } = await deployAll({ provider: rpc, signer: account(1), network })
  const bookFile = join(tempDir(), '31337.json')
  writeFileSync(bookFile, toJson(book))
  const addressBook = parseAddressBook(JSON.parse(toJson(book)))
  const chain: DaChain = await connectDa(await connectChain({ provider: rpc, addressBook }))

  const send = async (wallet: Wallet, call: ChainCall) =>
    sendCall(await signerSender(chain, wallet), { ...call, label: 'test' })
  const running = new Set<{ stop(): Promise<void> }>()

  async function addNode(index: number): Promise<WorldNode> {
    const wallet = account(FIRST_NODE + index)
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const dataDir = tempDir()
    const { registry } = chain.contracts
    const { DaCommittee, DataAvailability } = chain.da.addresses
    const { bondWei } = chain.daTerms
    await send(wallet, registerCall(chain, ''))
    await send(
      wallet,
      chainCall(registry, registry.interface.encodeFunctionData('setEndpoint', [DA_SERVICE, url])),
    )
    await send(wallet, delegateCall(chain, { operator: wallet.address, amountWei: SEAT_STAKE_WEI }))
    await send(wallet, allocateCall(chain, { amountWei: SEAT_STAKE_WEI, service: DaCommittee }))
    await send(wallet, stakeCall(chain, bondWei))
    await send(wallet, allocateCall(chain, { amountWei: bondWei, service: DataAvailability }))
    const env = (change: Record<string, string> = {}) => ({
      RPC_URL: anvil.rpcUrl,
      ADDRESS_BOOK: bookFile,
      DATA_DIR: dataDir,
      HTTP_PORT: String(port),
      PUBLIC_URL: url,
      REDIS_URL: redis.url,
      PRIVATE_KEY: wallet.privateKey,
      CONFIRMATIONS: '0',
      LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
      ...change,
    })
    const track = <T extends { stop(): Promise<void> }>(agent: T): T => {
      running.add(agent)
      return agent
    }
    return {
      wallet,
      url,
      dataDir,
      env,
      start: async (change) => track(await startDaAgent(loadConfig(daEnv, env(change)))),
      spawn: async (change) => {
        const child = track(startProcess(process.execPath, [MAIN], { env: env(change) }))
        await until('the agent serves', async () => {
          const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) })
          return response.ok
        })
        return child
      },
    }
  }

  const nodes: WorldNode[] = []
  for (let index = 0; index < count; index++) nodes.push(await addNode(index))

  const head = () => rpc.getBlockNumber()
  const { startBlock, periodBlocks, epochPeriods } = chain.terms

  async function advance(
    what: string,
    check: () => unknown,
    { blocks = 60, blockMs = 600 }: { blocks?: number; blockMs?: number } = {},
  ): Promise<void> {
    for (let mined = 0; ; mined++) {
      try {
        await until(what, async () => Boolean(await check()), blockMs)
        return
      } catch (error) {
        if (mined >= blocks) throw error
      }
      await anvil.mine(1)
    }
  }

  async function mineTo(block: bigint): Promise<void> {
    // In steps that a busy machine mines within the time-out of one request.
    for (let more = Number(block) - (await head()); more > 0; more -= MINE_BLOCKS) {
      await anvil.mine(Math.min(more, MINE_BLOCKS))
    }
  }

  const period = async () => (BigInt(await head()) - startBlock) / periodBlocks
  const epoch = async () => (await period()) / epochPeriods

  return {
    anvil,
    chain,
    rpc,
    redis,
    nodes,
    account,
    send,
    head,
    node: (index: number) => at(nodes, index),
    period,
    epoch,
    advance,
    mineTo,
    /** Starts the agent's main program with these variables, whatever becomes of it. */
    startMain: (env: Record<string, string>) => startProcess(process.execPath, [MAIN], { env }),
    /** Mines to block number `offset` of a period. */
    enterPeriod: (wanted: bigint, offset = 0n) => mineTo(startBlock + wanted * periodBlocks + offset),
    /** From now on transactions wait for the next block, as on a live chain. */
    manualBlocks: async () => {
      await anvil.rpc('evm_setAutomine', false)
    },
    automaticBlocks: async () => {
      await anvil.rpc('evm_setAutomine', true)
    },
    /** Waits until all agents have joined, then goes on to an epoch whose committee they form. */
    formCommittee: async (agents: readonly DaAgent[]) => {
      const { committee } = chain.da
      await advance('all have joined', async () => {
        const slots = await Promise.all(agents.map(({ context }) => committee.slotOf(context.self)))
        return slots.every(({ registered }) => registered)
      })
      const next = (await epoch()) + 1n
      await mineTo(startBlock + next * epochPeriods * periodBlocks + 1n)
      await advance('the committee stands', async () => {
        const active = await readActiveEpoch(chain)
        return active !== undefined && active >= next
      })
    },
    /** Waits until agents have seen the latest block and have read its logs. */
    settle: async (agents: readonly DaAgent[]) => {
      const block = await head()
      for (const agent of agents) {
        await until(`block ${block} is read`, () =>
          agent.followers.every((follower) => follower.cursor() >= block),
        )
      }
    },
    /** Stops an agent while blocks go on, since it waits for what it has sent. */
    stopAgent: async (agent: DaAgent | undefined) => {
      let stopped = agent === undefined
      const stopping = agent?.stop().then(() => {
        stopped = true
      })
      await advance('the agent has stopped', () => stopped)
      await stopping
    },
    stop: async () => {
      // Agents wait for what they have sent.
      await anvil.rpc('evm_setAutomine', true)
      await anvil.mine(2)
      for (const agent of running) await agent.stop()
      rpc.destroy()
      await anvil.stop()
      await redis.stop()
    },
  }
}

/** Takes a slot in the committee for a staked operator that runs no agent. */
export async function joinByHand(
  { chain, send }: Pick<DaWorld, 'chain' | 'send'>,
  wallet: Wallet,
): Promise<void> {
  const { DaCommittee } = chain.da.addresses
  const bls = deriveBlsKey(wallet.privateKey)
  const digest = blsKeyDigest(committeeDomain(chain.chainId, DaCommittee), {
    operator: wallet.address,
    keyHash: keccak256(bls.publicKeyPoint),
  })
  const proofOfPossession = g2Point(bls.sign(fromHex(digest)))
  await send(wallet, registerMemberCall(chain, { publicKey: bls.publicKeyPoint, proofOfPossession }))
}
