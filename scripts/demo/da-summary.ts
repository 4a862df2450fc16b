import { formatBytes, formatTable, formatWei, shortHex } from '../../agents/cli/format.ts'
import { readDaRecord } from './da-record.ts'
import type { BlobStory, DaStory } from './da-steps.ts'

export type DaNodeRecord = {
  name: string
  operator: string
  seats: number
  fate: string
  answered: number
  missed: number
  slashedWei: bigint
}

/** What the main job found out about data availability. */
export type DaSummary = {
  blobs: BlobStory[]
  sample: DaStory['sample']
  read: DaStory['read']
  nodes: DaNodeRecord[]
  draws: number
  answered: number
  missed: number
  epochs: number
  gas: Record<string, number>
}

/** Puts the story together with what the chain says of its audits. */
export async function summarizeDa(story: DaStory): Promise<DaSummary> {
  const { devnet, blobs, sample, read, seats, lost, fromBlock } = story
  const record = await readDaRecord(devnet.chain, devnet.provider, fromBlock)
  const sum = (key: 'draws' | 'answered' | 'missed') =>
    record.periods.reduce((total, period) => total + period[key], 0)
  return {
    blobs,
    sample,
    read,
    nodes: devnet.daAgents.map(({ name, address }) => {
      const misses = record.misses.filter(({ provider }) => provider === address)
      return {
        name,
        operator: address,
        seats: seats.get(address) ?? 0,
        fate: lost.get(address) ?? '',
        answered: record.answersOf.get(address) ?? 0,
        missed: misses.length,
        slashedWei: misses.reduce((total, { slashedWei }) => total + slashedWei, 0n),
      }
    }),
    draws: sum('draws'),
    answered: sum('answered'),
    missed: sum('missed'),
    epochs: record.epochs,
    gas: { ...record.gas },
  }
}

/** Data availability as lines for people. */
export function daSummaryLines({ blobs, sample, read, nodes, ...summary }: DaSummary): string[] {
  const seconds = (value: number | undefined) => (value === undefined ? '-' : `${value.toFixed(1)} s`)
  const gas = (value: number | undefined) => (value === undefined ? '-' : value.toLocaleString('en-US'))
  return [
    'data availability',
    ...formatTable(
      [
        'blob',
        'id',
        'size',
        'KZG blobs',
        'columns',
        'SOFT',
        'FINAL',
        'gas submit',
        'gas SOFT',
        'gas FINAL',
        'fee',
      ],
      blobs.map((blob) => [
        blob.what,
        shortHex(blob.blobId),
        formatBytes(blob.bytes),
        String(blob.kzgBlobs),
        `${blob.columns}/128`,
        seconds(blob.softSeconds),
        seconds(blob.finalSeconds),
        gas(blob.gas.submit),
        gas(blob.gas.soft),
        gas(blob.gas.final),
        formatWei(blob.feeWei),
      ]),
    ),
    '',
    ...(sample === undefined
      ? []
      : [
          `light client  ${sample.verdict} from ${sample.samples} columns in ${seconds(sample.seconds)}, fooled with ${sample.foolChance.toExponential(1)}`,
        ]),
    ...(read === undefined
      ? []
      : [
          `read back     ${formatBytes(read.bytes)} in ${seconds(read.seconds)} with two nodes gone${read.isRebuilt ? ', restored from parity' : ''}`,
        ]),
    `audits        ${summary.answered} of ${summary.draws} draws answered, ${summary.missed} missed; ${summary.epochs} committees formed`,
    `gas           ${Object.entries(summary.gas)
      .map(([step, used]) => `${step} ${gas(used)}`)
      .join(', ')}`,
    '',
    ...formatTable(
      ['node', 'operator', 'columns', 'answered', 'missed', 'slashed', ''],
      nodes.map((node) => [
        node.name,
        shortHex(node.operator),
        String(node.seats),
        String(node.answered),
        String(node.missed),
        formatWei(node.slashedWei),
        node.fate,
      ]),
    ),
  ]
}
