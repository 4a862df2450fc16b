import { statfs } from 'node:fs/promises'
import { z } from 'zod'
import { type Finding, fail, ok, warn } from './finding.ts'
import { formatBytes } from './format.ts'
import { modelFindings } from './model-findings.ts'

const FETCH_TIMEOUT_MS = 5_000
const LOW_DISK_BYTES = 1_000_000_000
/** A duty that cannot be looked at for less long may have met a hiccup of the RPC. */
const BLIND_BLOCKS = 20

const readySchema = z.object({ ready: z.boolean(), checks: z.record(z.string(), z.string()) })

/** What doctor reads of /status of every agent; whatever else there is does not matter here. */
const statusSchema = z.object({
  operator: z.string(),
  head: z.object({ number: z.number() }).optional(),
  duties: z
    .array(
      z.object({
        name: z.string(),
        readAt: z.number().optional(),
        code: z.string().optional(),
        last: z.object({ outcome: z.string(), code: z.string().optional(), block: z.number() }).optional(),
      }),
    )
    .default([]),
})

/** What an agent that keeps other people's data says of it. */
const heldSchema = z.object({
  usedBytes: z.number(),
  capacityBytes: z.number(),
  shards: z.object({ complete: z.number(), partial: z.number(), damaged: z.number() }).optional(),
  columns: z.object({ kept: z.number(), damaged: z.number() }).optional(),
})

const MENDS: Record<string, string> = {
  chain: 'check RPC_URL and the node behind it',
  redis: 'check REDIS_URL, or that redis-server can run',
  store: 'check free space and permissions of DATA_DIR',
  followers: 'wait: it reads the logs it has missed',
  duties: 'look for the duty in its log; docs/errors.md has the code',
  running: 'wait until it has stopped, then start it again',
}

/** Asks the agent itself: whether it is there, whose it is, and what it waits for. */
export async function examineAgent(url: string, operator: string | undefined): Promise<Finding[]> {
  if (url === '') return [fail('agent', 'no URL is known', 'set PUBLIC_URL, or run `zerog agent init`')]
  let ready: Answer
  let status: Answer
  try {
    ready = await getJson(`${url}/ready`)
    status = await getJson(`${url}/status`)
  } catch {
    return [
      fail(
        'agent',
        `${url} does not answer`,
        'start it (`zerog agent storage`, `zerog agent da` or `zerog agent compute`), or open its port to the outside; its last log lines say why it ended',
      ),
    ]
  }
  const checks = readySchema.safeParse(ready.json)
  const state = statusSchema.safeParse(status.json)
  const own = ownFindings(status.json)
  if (!checks.success || !state.success || own === undefined) {
    return [fail('agent', `${url} is no agent of ours`, 'correct PUBLIC_URL, or --url')]
  }
  if (operator !== undefined && state.data.operator !== operator) {
    return [
      fail(
        'agent',
        `${url} is the agent of another operator, ${state.data.operator}`,
        'correct PUBLIC_URL, or the key: each operator has a URL of its own',
      ),
    ]
  }
  const waiting = Object.entries(checks.data.checks).filter(([, text]) => text !== 'ok')
  return [
    ...(waiting.length === 0 ? [ok('agent', `${url} is ready`)] : []),
    ...waiting.map(([part, text]) =>
      fail('agent', `${url} is not ready: ${part}: ${text}`, MENDS[part] ?? 'look into its log'),
    ),
    ...own,
    ...dutyFindings(state.data),
  ]
}

/** What only one kind of agent tells; undefined when it is of no kind. */
function ownFindings(status: unknown): Finding[] | undefined {
  const held = heldSchema.safeParse(status)
  if (held.success && (held.data.shards ?? held.data.columns)) return [heldFinding(held.data)]
  return modelFindings(status)
}

function heldFinding({ shards, columns, usedBytes, capacityBytes }: z.output<typeof heldSchema>): Finding {
  const what = shards === undefined ? 'columns' : 'shards'
  const count =
    shards === undefined
      ? `${columns?.kept ?? 0} kept`
      : `${shards.complete} whole, ${shards.partial} arriving`
  const found = `${count}; ${formatBytes(usedBytes)} of ${formatBytes(capacityBytes)}`
  const broken = (shards ?? columns)?.damaged ?? 0
  if (broken > 0) {
    const damaged = `${broken} damaged, ${found}`
    return warn(
      what,
      damaged,
      'the agent rebuilds them from the others; look at the disk if their number grows',
    )
  }
  if (usedBytes > capacityBytes * 0.95) return warn(what, found, 'no room for more: raise CAPACITY_BYTES')
  return ok(what, found)
}

function dutyFindings({ duties, head }: z.output<typeof statusSchema>): Finding[] {
  return duties.flatMap(({ name, readAt, code, last }) => [
    ...(code === undefined || (head !== undefined && head.number - (readAt ?? 0) < BLIND_BLOCKS)
      ? []
      : [
          warn(
            'duty',
            `${name} cannot be looked at (${code}), ${readAt === undefined ? 'and never was' : `last at block ${readAt}`}`,
            mendOf(name, code),
          ),
        ]),
    ...(last === undefined || !['failed', 'expired'].includes(last.outcome)
      ? []
      : [
          warn(
            'duty',
            `${name} ${last.outcome} at block ${last.block}${last.code === undefined ? '' : ` (${last.code})`}`,
            mendOf(name, last.code),
          ),
        ]),
  ])
}

function mendOf(duty: string, code: string | undefined): string {
  if (code === 'INSUFFICIENT_FUNDS') return 'send coins for gas to the operator'
  return `look for ${duty} in the log; docs/errors.md has the code`
}

/** Whether there is room for what the agent may still take. */
export async function examineDisk(folder: string): Promise<Finding> {
  try {
    const { bavail, bsize } = await statfs(folder)
    const found = `${formatBytes(bavail * bsize)} free in ${folder}`
    return bavail * bsize > LOW_DISK_BYTES
      ? ok('disk', found)
      : warn('disk', found, 'free space, or lower CAPACITY_BYTES')
  } catch {
    return fail('disk', `${folder} cannot be read`, 'set DATA_DIR, mount it, or run `zerog agent init`')
  }
}

type Answer = { json: unknown }

async function getJson(url: string): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) })
  const text = await response.text()
  try {
    return { json: JSON.parse(text) }
  } catch {
    // Not JSON: the schema will say so.
    return { json: undefined }
  }
}
