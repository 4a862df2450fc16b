import { formatBytes, formatTable, formatWei, shortHex } from '../../agents/cli/format.ts'
import type { PeriodRecord } from './audit-record.ts'
import { type ComputeSummary, computeSummaryLines } from './compute-summary.ts'
import { type DaSummary, daSummaryLines } from './da-summary.ts'
import { type MoneyRecord, moneyLines } from './money.ts'

/** Whether one step of the main job held, and how long it took. */
export type StepRecord = { step: string; held: boolean; seconds: number; error?: string }

export type HolderRecord = {
  name: string
  operator: string
  shards: number[]
  killed: boolean
  answered: number
  missed: number
  slashedWei: bigint
  suspended: boolean
  earnedWei: bigint
}

/** Everything the main job found out; printed at its end and written with `--json`. */
export type Summary = {
  ok: boolean
  steps: StepRecord[]
  file: { path: string; bytes: number; root?: string; txSeq?: bigint }
  dataShards: number
  parityShards: number
  priceWei: bigint
  bondWei: bigint
  spentWei: bigint
  gas: Record<string, number>
  holders: HolderRecord[]
  periods: PeriodRecord[]
  da: DaSummary
  compute: ComputeSummary
  money?: MoneyRecord
  uploadMBps: number
  sealSeconds: number
  downloadMBps: number
  secondsAll: number
}

/** The summary as lines for people. */
export function summaryLines(summary: Summary): string[] {
  const { file } = summary
  const answered = summary.periods.reduce((sum, period) => sum + period.answered, 0)
  const missed = summary.periods.reduce((sum, period) => sum + period.missed, 0)
  return [
    '',
    `file       ${file.path} (${formatBytes(file.bytes)})`,
    `root       ${file.root ?? '-'}`,
    `txSeq      ${file.txSeq ?? '-'}   ${summary.dataShards} data + ${summary.parityShards} parity shards`,
    `price      ${formatWei(summary.priceWei)} for the term, bond ${formatWei(summary.bondWei)}; spent with gas ${formatWei(summary.spentWei)}`,
    `speed      upload ${summary.uploadMBps.toFixed(1)} MB/s, sealed after ${summary.sealSeconds.toFixed(1)} s, ` +
      `download through the loss ${summary.downloadMBps.toFixed(1)} MB/s`,
    `gas        ${Object.entries(summary.gas)
      .map(([step, gas]) => `${step} ${gas.toLocaleString('en-US')}`)
      .join(', ')}`,
    `proofs     ${answered} answered, ${missed} missed in ${summary.periods.length} periods`,
    '',
    ...formatTable(
      ['provider', 'operator', 'shards', 'answered', 'missed', 'slashed', 'earned', ''],
      summary.holders.map((holder) => [
        holder.name,
        shortHex(holder.operator),
        holder.shards.join(' '),
        String(holder.answered),
        String(holder.missed),
        formatWei(holder.slashedWei),
        formatWei(holder.earnedWei),
        [holder.killed ? 'killed' : '', holder.suspended ? 'suspended' : ''].filter(Boolean).join(', '),
      ]),
    ),
    '',
    ...formatTable(
      ['period', 'draws', 'answered', 'missed'],
      summary.periods.map(({ period, draws, answered: good, missed: bad }) => [
        String(period),
        String(draws),
        String(good),
        String(bad),
      ]),
    ),
    '',
    ...daSummaryLines(summary.da),
    '',
    ...computeSummaryLines(summary.compute),
    '',
    ...(summary.money === undefined ? [] : [...moneyLines(summary.money), '']),
    ...summary.steps.map(
      ({ step, held, seconds, error }) =>
        `${held ? 'ok  ' : 'FAIL'}  ${step} (${seconds.toFixed(1)} s)${error === undefined ? '' : `: ${error}`}`,
    ),
    '',
    summary.ok ? `everything held, in ${summary.secondsAll.toFixed(0)} s` : 'NOT everything held',
  ]
}
