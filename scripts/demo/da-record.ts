import type { JsonRpcProvider } from 'ethers'
import type { DaChain } from '../../sdk/chain/da-chain.ts'
import { daEventFilter, decodeDaEvent } from '../../sdk/chain/da-events.ts'
import type { MissRecord, PeriodRecord } from './audit-record.ts'

/** What the chain says of data availability since a block; gas is the mean of a transaction, by what it did. */
export type DaRecord = {
  periods: PeriodRecord[]
  answersOf: Map<string, number>
  misses: MissRecord[]
  epochs: number
  gas: Partial<Record<DaGasKind, number>>
}

type DaGasKind = 'newEpoch' | 'openRound' | 'answer' | 'reportMiss' | 'confirm' | 'submit'

const NAMES = ['EpochFormed', 'RoundOpened', 'Answered', 'Missed', 'BlobConfirmed', 'BlobSubmitted'] as const
const SAMPLES = 24

/** Reads committees, rounds, answers and misses of data availability from the logs since `fromBlock`. */
export async function readDaRecord(
  chain: DaChain,
  provider: JsonRpcProvider,
  fromBlock: number,
): Promise<DaRecord> {
  const logs = await provider.getLogs({ ...daEventFilter(chain.book, NAMES), fromBlock, toBlock: 'latest' })
  const record: DaRecord = { periods: [], answersOf: new Map(), misses: [], epochs: 0, gas: {} }
  const hashes = new Map<DaGasKind, string[]>()
  const sample = (kind: DaGasKind, hash: string) => hashes.set(kind, [...(hashes.get(kind) ?? []), hash])
  const periodOf = (period: bigint) => record.periods.find((item) => item.period === period)

  for (const log of logs) {
    const event = decodeDaEvent(chain.book, log)
    switch (event?.name) {
      case 'EpochFormed':
        record.epochs += 1
        sample('newEpoch', log.transactionHash)
        break
      case 'BlobSubmitted':
        sample('submit', log.transactionHash)
        break
      case 'BlobConfirmed':
        sample('confirm', log.transactionHash)
        break
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
    }
  }
  for (const [kind, all] of hashes) {
    const used = await Promise.all(all.slice(0, SAMPLES).map((hash) => gasOf(provider, hash)))
    record.gas[kind] = Math.round(used.reduce((sum, gas) => sum + gas, 0) / used.length)
  }
  return record
}

/** Gas that a mined transaction used. */
export async function gasOf(provider: JsonRpcProvider, hash: string): Promise<number> {
  const receipt = await provider.getTransactionReceipt(hash)
  return Number(receipt?.gasUsed ?? 0n)
}
