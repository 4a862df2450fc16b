import type { JsonRpcProvider } from 'ethers'
import type { Chain } from '../../sdk/chain/connect.ts'
import { decodeStorageEvent, eventFilter } from '../../sdk/chain/events.ts'

/** One period in which sectors were drawn. */
export type PeriodRecord = { period: bigint; draws: number; answered: number; missed: number }

export type MissRecord = {
  period: bigint
  draw: bigint
  provider: string
  slashedWei: bigint
  reporter: string
}

/** What the chain says of the audits since a block. */
export type AuditRecord = {
  periods: PeriodRecord[]
  answersOf: Map<string, number>
  misses: MissRecord[]
  suspended: Set<string>
  /** Wei that left the storage vault, by account. */
  withdrawnOf: Map<string, bigint>
  /** Mean gas of a transaction, by what it did. */
  gas: { openRound?: number; answer?: number; reportMiss?: number }
}

type GasKind = keyof AuditRecord['gas']

const NAMES = ['RoundOpened', 'Answered', 'Missed', 'Suspended', 'Withdrawn'] as const

/** Reads rounds, answers, misses and suspensions from the logs since `fromBlock`. */
export async function readAuditRecord(
  chain: Chain,
  provider: JsonRpcProvider,
  fromBlock: number,
): Promise<AuditRecord> {
  const logs = await provider.getLogs({ ...eventFilter(chain.book, NAMES), fromBlock, toBlock: 'latest' })
  const record: AuditRecord = {
    periods: [],
    answersOf: new Map(),
    misses: [],
    suspended: new Set(),
    withdrawnOf: new Map(),
    gas: {},
  }
  const samples = new Map<GasKind, string[]>()
  const sample = (kind: GasKind, hash: string) => samples.set(kind, [...(samples.get(kind) ?? []), hash])
  const periodOf = (period: bigint) => record.periods.find((item) => item.period === period)

  for (const log of logs) {
    const event = decodeStorageEvent(chain.book, log)
    switch (event?.name) {
      case 'RoundOpened': {
        const { period, draws } = event.args
        record.periods.push({ period, draws: Number(draws), answered: 0, missed: 0 })
        sample('openRound', log.transactionHash)
        break
      }
      case 'Answered': {
        const { period, provider: by } = event.args
        const found = periodOf(period)
        if (found !== undefined) found.answered += 1
        record.answersOf.set(by, (record.answersOf.get(by) ?? 0) + 1)
        sample('answer', log.transactionHash)
        break
      }
      case 'Missed': {
        const { period, draw, provider: by, slashedWei, reporter } = event.args
        const found = periodOf(period)
        if (found !== undefined) found.missed += 1
        record.misses.push({ period, draw, provider: by, slashedWei, reporter })
        sample('reportMiss', log.transactionHash)
        break
      }
      case 'Withdrawn': {
        const { account, amountWei } = event.args
        record.withdrawnOf.set(account, (record.withdrawnOf.get(account) ?? 0n) + amountWei)
        break
      }
      case 'Suspended':
        record.suspended.add(event.args.provider)
        break
    }
  }
  for (const [kind, hashes] of samples) {
    const receipts = await Promise.all(
      hashes.slice(0, 24).map((hash) => provider.getTransactionReceipt(hash)),
    )
    const used = receipts.flatMap((receipt) => (receipt === null ? [] : [Number(receipt.gasUsed)]))
    if (used.length > 0) record.gas[kind] = Math.round(used.reduce((sum, gas) => sum + gas, 0) / used.length)
  }
  return record
}

/** Periods until the first missed draw of a provider that holds a share of the live sectors, in the mean. */
export function expectedPeriods(share: number, draws: number): number {
  return 1 / (1 - (1 - share) ** draws)
}
