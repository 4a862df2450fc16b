import { type JsonRpcProvider, ZeroAddress } from 'ethers'
import { formatTable, formatWei } from '../../agents/cli/format.ts'
import {
  CUSTOMER_ACCOUNT,
  devAccount,
  MODEL_OWNER_ACCOUNT,
  PUBLISHER_ACCOUNT,
} from '../../deploy/dev-account.ts'
import { readEarnings } from '../../sdk/chain/compute.ts'
import { readJobCredit } from '../../sdk/chain/jobs.ts'
import { readLedger } from '../../sdk/chain/ledger.ts'
import type { Devnet } from '../devnet/start-devnet.ts'

/** Coins of one party, in wei, at two moments; `owedWei` is what the contracts of compute hold for it at the second. */
export type MoneyRow = { name: string; beforeWei: bigint; afterWei: bigint; owedWei: bigint }

/** Everybody's coins at two blocks. Gas is what was burned and what the block producers got between them. */
export type MoneyRecord = {
  fromBlock: number
  toBlock: number
  rows: MoneyRow[]
  gasWei: bigint
  /** Sum of all differences plus gas: 0, or coins came from nowhere, or went there. */
  unexplainedWei: bigint
  /** What the contracts of compute owe less what they have: 0, or they owe more, or keep what is nobody's. */
  uncoveredWei: bigint
}

type Party = { name: string; addresses: readonly string[] }

/** Accounts that a development chain gives coins to. */
const FUNDED_ACCOUNTS = 20
const COMPUTE_VAULTS = ['LedgerManager', 'InferenceServing', 'JobEscrow']
const BATCH = 25

/** Reads what everybody had and has: people, agents, and every contract of the deployment. */
export async function readMoney(devnet: Devnet, fromBlock: number): Promise<MoneyRecord> {
  const { provider, chain } = devnet
  const toBlock = await provider.getBlockNumber()
  const { burnedWei, producers } = await readBlocks(provider, fromBlock, toBlock)
  const balanceOf = async (addresses: readonly string[], block: number) => {
    const balances = await Promise.all(addresses.map((address) => provider.getBalance(address, block)))
    return balances.reduce((sum, wei) => sum + wei, 0n)
  }
  const owedTo = async (address: string) => {
    const at = { blockTag: toBlock }
    const [earnedWei, creditWei, ledger] = await Promise.all([
      readEarnings(chain, address, at),
      readJobCredit(chain, address, at),
      readLedger(chain, address, at),
    ])
    return earnedWei + creditWei + (ledger?.totalWei ?? 0n)
  }
  const rowOf = async ({ name, addresses }: Party): Promise<MoneyRow> => ({
    name,
    beforeWei: await balanceOf(addresses, fromBlock),
    afterWei: await balanceOf(addresses, toBlock),
    owedWei: sumOf(await Promise.all(addresses.map(owedTo))),
  })
  const rows = await Promise.all(partiesOf(devnet).map(rowOf))
  const tips = await rowOf({ name: 'block producers', addresses: producers })
  const gasWei = burnedWei + changeOf(tips)
  const owedWei = sumOf(rows.map((row) => row.owedWei))
  const heldWei = sumOf(rows.filter(({ name }) => COMPUTE_VAULTS.includes(name)).map((row) => row.afterWei))
  return {
    ...{ fromBlock, toBlock, rows, gasWei },
    unexplainedWei: sumOf(rows.map(changeOf)) + gasWei,
    uncoveredWei: owedWei - heldWei,
  }
}

/** Lines for people; amounts to the wei where they changed. */
export function moneyLines({
  rows,
  gasWei,
  unexplainedWei,
  uncoveredWei,
  fromBlock,
  toBlock,
}: MoneyRecord): string[] {
  const shown = rows.filter((row) => row.afterWei > 0n || row.beforeWei > 0n)
  return [
    `money of everybody, blocks ${fromBlock} to ${toBlock}`,
    ...formatTable(
      ['', 'before', 'after', 'difference in wei', 'held for it by compute'],
      shown.map((row) => [
        row.name,
        formatWei(row.beforeWei),
        formatWei(row.afterWei),
        signed(changeOf(row)),
        row.owedWei === 0n ? '' : String(row.owedWei),
      ]),
    ),
    `differences ${signed(sumOf(rows.map(changeOf)))}, gas ${gasWei}: ${unexplainedWei} wei unexplained`,
    `contracts of compute owe ${sumOf(rows.map((row) => row.owedWei))}: ${uncoveredWei} wei more than they have`,
  ]
}

export const changeOf = ({ beforeWei, afterWei }: MoneyRow): bigint => afterWei - beforeWei

/** Everybody who may have coins, each account once. */
function partiesOf({ chain, user, agents, daAgents, computeAgents }: Devnet): Party[] {
  const dev = (index: number) => devAccount(index).address
  const people: Party[] = [
    { name: 'user', addresses: [user.address] },
    { name: 'publisher', addresses: [dev(PUBLISHER_ACCOUNT)] },
    { name: 'model owner', addresses: [dev(MODEL_OWNER_ACCOUNT)] },
    { name: 'customer', addresses: [dev(CUSTOMER_ACCOUNT)] },
  ]
  const named = new Set(people.flatMap(({ addresses }) => addresses))
  const others = Array.from({ length: FUNDED_ACCOUNTS }, (_, index) => dev(index))
  const contracts = Object.entries(chain.book.contracts).flatMap(([name, entry]) =>
    entry === undefined ? [] : [{ name, addresses: [entry.address] }],
  )
  const vaults = contracts.filter(({ name }) => COMPUTE_VAULTS.includes(name))
  const rest = contracts.filter(({ name }) => !COMPUTE_VAULTS.includes(name))
  const addressesOf = (list: readonly { address: string }[]) => list.map(({ address }) => address)
  return [
    ...people,
    ...computeAgents.map(({ name, address }) => ({ name, addresses: [address] })),
    { name: `storage agents (${agents.length})`, addresses: addressesOf(agents) },
    { name: `DA agents (${daAgents.length})`, addresses: addressesOf(daAgents) },
    ...vaults,
    { name: 'other contracts', addresses: rest.flatMap(({ addresses }) => addresses) },
    { name: 'burned stake', addresses: [ZeroAddress] },
    { name: 'others', addresses: others.filter((address) => !named.has(address)) },
  ]
}

async function readBlocks(provider: JsonRpcProvider, fromBlock: number, toBlock: number) {
  const producers = new Set<string>()
  let burnedWei = 0n
  for (let first = fromBlock + 1; first <= toBlock; first += BATCH) {
    const length = Math.min(BATCH, toBlock - first + 1)
    const blocks = await Promise.all(Array.from({ length }, (_, index) => provider.getBlock(first + index)))
    for (const block of blocks) {
      if (block === null) throw new Error(`the chain has no block between ${first} and ${first + length}`)
      burnedWei += block.gasUsed * (block.baseFeePerGas ?? 0n)
      producers.add(block.miner)
    }
  }
  return { burnedWei, producers: [...producers] }
}

const sumOf = (list: readonly bigint[]): bigint => list.reduce((sum, wei) => sum + wei, 0n)

const signed = (wei: bigint): string => `${wei > 0n ? '+' : ''}${wei}`
