import { existsSync, readFileSync, rmSync } from 'node:fs'
import { z } from 'zod'
import { ZerogError } from '../sdk/protocol/errors.ts'
import { toJson, writeFileDurably } from './write-file.ts'

const hex = z.string().regex(/^0x[0-9a-f]+$/i)

const entrySchema = z.strictObject({
  step: z.string(),
  nonce: z.int().min(0),
  /** Every transaction signed for this step, all with the same nonce: at most one of them is ever mined. */
  signed: z.array(z.strictObject({ hash: hex, raw: hex })).min(1),
  mined: z
    .strictObject({ hash: hex, block: z.int(), address: hex.nullable(), gasUsed: z.string() })
    .optional(),
})

const headerSchema = z.strictObject({
  chainId: z.int(),
  genesisHash: hex,
  network: z.string(),
  deployer: hex,
  /** Who sends the compute contracts, where it is not the deployer. */
  computeDeployer: hex.optional(),
  owner: hex,
  startBlock: z.int().min(0),
  /** Whether data availability is part of it. */
  hasDa: z.boolean().default(false),
  /** Whether compute is part of it: not in deployments of earlier versions. */
  hasCompute: z.boolean().default(false),
  /** What `params` were derived from: measured once, so that a resumed or repeated run derives the same. */
  measured: z.strictObject({ blockSec: z.number(), prevRandaoVaries: z.boolean() }),
  /** The parameters as JSON, bigints as decimal strings. */
  params: z.unknown(),
})

const journalSchema = z.strictObject({
  schema: z.literal(1),
  header: headerSchema,
  entries: z.array(entrySchema),
})

export type JournalHeader = z.output<typeof headerSchema>
export type JournalEntry = z.output<typeof entrySchema>

/** The record of a deployment under way; every change is on disk before the call returns. */
export type Journal = {
  header: JournalHeader
  entry(step: string): JournalEntry | undefined
  put(entry: JournalEntry): void
  drop(step: string): void
  remove(): void
}

/** The journal at `path` if there is one. Errors: ADDRESS_BOOK_INVALID when it cannot be read. */
export function readJournal(path: string): { header: JournalHeader; entries: JournalEntry[] } | undefined {
  if (!existsSync(path)) return undefined
  try {
    return journalSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (cause) {
    throw new ZerogError(
      'ADDRESS_BOOK_INVALID',
      `${path} is damaged: inspect it, or start over with --fresh`,
      { cause },
    )
  }
}

/** Opens a journal with `entries`; without a `path` it is kept in memory only. */
export function openJournal(
  path: string | undefined,
  header: JournalHeader,
  entries: readonly JournalEntry[] = [],
): Journal {
  const byStep = new Map(entries.map((entry) => [entry.step, entry]))
  const save = () => {
    if (path !== undefined)
      writeFileDurably(path, toJson({ schema: 1, header, entries: [...byStep.values()] }))
  }
  save()
  return {
    header,
    entry: (step) => byStep.get(step),
    put(entry) {
      byStep.set(entry.step, entry)
      save()
    },
    drop(step) {
      byStep.delete(step)
      save()
    },
    remove() {
      if (path !== undefined) rmSync(path, { force: true })
    },
  }
}
