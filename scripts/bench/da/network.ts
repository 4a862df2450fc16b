import { randomFillSync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { devAccount, PUBLISHER_ACCOUNT } from '../../../deploy/dev-account.ts'
import { readBlobRecord } from '../../../sdk/chain/da.ts'
import { readActiveEpoch, readCommittee } from '../../../sdk/chain/da-committee.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { publishBlob } from '../../../sdk/client/publish-blob.ts'
import { CELL_BYTES } from '../../../sdk/protocol/cell-layout.ts'
import { periodStart } from '../../../sdk/protocol/clock.ts'
import { columnCount } from '../../../sdk/protocol/quorum.ts'
import { type Devnet, startDevnet } from '../../devnet/start-devnet.ts'
import { waitUntil } from '../../devnet/wait-until.ts'
import { MIB, shortNumber } from '../storage/bench-case.ts'
import { type AgentTotals, agentTotals, totalsBetween } from './agent-totals.ts'
import { type LibraryCosts, SHARE } from './check.ts'
import { BLOB_COUNT, type DaCase, PAYLOAD_BYTES, sane } from './da-case.ts'
import { readCases } from './read-back.ts'

const NODES = 8
/** Nodes that are stopped so that the quorum is SOFT only. */
const AWAY_NODES = 2
const RUNS = 2
const RETENTION_PERIODS = 20n
/** Blocks that an epoch must have left for a publication to begin in it; its header is worth nothing in the next one. */
const BLOCKS_LEFT = 30n
const COMMITTEE_TIMEOUT_MS = 600_000
const STATUS_TIMEOUT_MS = 120_000
const LOOK_MS = 50
/** Between blocks without transactions: epochs pass while they are waited for, and last while a blob is published. */
const WAITING_BLOCK_MS = 1_000
const PUBLISHING_BLOCK_MS = 3_000

type Published = {
  readonly blobId: string
  readonly payload: Uint8Array
  readonly softSec: number | undefined
  readonly finalSec: number
  readonly columns: number
  readonly stages: { readonly disperse: number; readonly pay: number }
  readonly totals: AgentTotals
}

/** Publishes to eight nodes in processes of their own, and reads back: times against what the library's work alone takes on all cores. */
export async function benchNetwork({
  root,
  folder,
  report,
  costs,
}: {
  root: string
  folder: string
  report: (line: string) => void
  costs: LibraryCosts
}): Promise<DaCase[]> {
  report(`starting ${NODES} DA nodes`)
  const devnet = await startDevnet({
    root,
    base: join(folder, 'devnet'),
    agentCount: 0,
    daCount: NODES,
    agentEnv: { LOG_LEVEL: 'warn' },
  })
  try {
    // A block with each transaction: the bench measures the nodes, not the chain's block time.
    await devnet.provider.send('evm_setAutomine', [true])
    const runs: Published[] = []
    for (let run = 0; run < RUNS; run++) {
      report(`publishing, run ${run + 1} of ${RUNS}`)
      runs.push(await publishOnce(devnet, { away: 0 }))
    }
    const [best] = runs.toSorted((a, b) => a.finalSec - b.finalSec)
    if (best === undefined) throw new Error('nothing was published')
    report(`publishing with ${AWAY_NODES} nodes stopped`)
    const soft = await publishOnce(devnet, { away: AWAY_NODES })
    report('reading back')
    const reads = await readCases(devnet.chain, { ...best, costs })
    return [...publishCases(best, { runs, soft, costs }), ...reads]
  } finally {
    await devnet.stop()
  }
}

/** Publishes a payload of its own once, and waits for FINAL; with `away` nodes stopped until it is SOFT. */
async function publishOnce(devnet: Devnet, { away }: { away: number }): Promise<Published> {
  const { chain, daAgents, provider } = devnet
  await freshEpoch(devnet)
  await provider.send('evm_setIntervalMining', [PUBLISHING_BLOCK_MS])
  const payload = randomFillSync(new Uint8Array(PAYLOAD_BYTES))
  const urls = daAgents.map(({ url }) => url)
  const before = await agentTotals(urls)
  const stopped = daAgents.slice(daAgents.length - away)
  for (const { child } of stopped) process.kill(child.pid, 'SIGSTOP')
  const goOn = () => {
    for (const { child } of stopped) process.kill(child.pid, 'SIGCONT')
  }
  const startedMs = performance.now()
  const elapsed = () => (performance.now() - startedMs) / 1000
  try {
    const { blobId, seconds } = await publishBlob({
      chain,
      payload,
      retentionPeriods: RETENTION_PERIODS,
      signer: devAccount(PUBLISHER_ACCOUNT, provider),
      disperser: daAgents[0]?.address ?? '',
      until: 'submitted',
      transport: nodeTransport,
    })
    const reach = (goal: 'soft' | 'final') =>
      waitUntil(
        async () => {
          const record = await readBlobRecord(chain, blobId)
          const isThere = record?.status === 'final' || record?.status === goal
          return isThere ? { record, sec: elapsed() } : undefined
        },
        { what: `${goal} of ${blobId}`, timeoutMs: STATUS_TIMEOUT_MS, everyMs: LOOK_MS },
      )
    const soft = await reach('soft')
    sane(away === 0 || soft.record.status === 'soft', 'FINAL without the nodes that are stopped')
    goOn()
    const final = await reach('final')
    return {
      blobId,
      payload,
      softSec: soft.record.status === 'soft' ? soft.sec : undefined,
      finalSec: final.sec,
      columns: columnCount((away > 0 ? soft : final).record.columns),
      stages: seconds,
      totals: totalsBetween(before, await agentTotals(urls)),
    }
  } finally {
    goOn()
    await provider.send('evm_setIntervalMining', [WAITING_BLOCK_MS])
  }
}

/** Waits until all nodes have seats, in an epoch that lasts for a while. */
async function freshEpoch({ chain, provider }: Devnet): Promise<void> {
  await waitUntil(
    async () => {
      const epoch = await readActiveEpoch(chain)
      if (epoch === undefined) return undefined
      const head = BigInt(await provider.getBlockNumber())
      const end = periodStart(chain.terms, (epoch + 1n) * chain.terms.epochPeriods)
      if (end - head < BLOCKS_LEFT) return undefined
      return (await readCommittee(chain, epoch)).members.length === NODES || undefined
    },
    { what: `a committee of ${NODES} nodes`, timeoutMs: COMMITTEE_TIMEOUT_MS, everyMs: 200 },
  )
}

function publishCases(
  best: Published,
  { runs, soft, costs }: { runs: readonly Published[]; soft: Published; costs: LibraryCosts },
): DaCase[] {
  const cores = availableParallelism()
  const work = (nodes: number) => costs.encode + nodes * costs.checkShare
  const floorSec = work(NODES) / cores
  const softFloorSec = work(NODES - AWAY_NODES) / cores
  const { totals, stages } = best
  const what = `publish ${shortNumber(PAYLOAD_BYTES / MIB)} MiB (${BLOB_COUNT} KZG blobs) to ${NODES} nodes`
  sane(totals.cpuSec > 0 && totals.receivedBytes > PAYLOAD_BYTES, 'the nodes count nothing')
  // The disperser's own columns stay with it.
  const cellBytes = (NODES - 1) * SHARE * BLOB_COUNT * CELL_BYTES
  return [
    {
      name: `${what}, to FINAL`,
      measured: `${shortNumber(best.finalSec)} s`,
      reference: `${shortNumber(floorSec)} s (encode once, check all columns; every core busy)`,
      figure: best.finalSec / floorSec,
      unit: 'x the floor',
      details: {
        disperseSec: stages.disperse,
        paySec: stages.pay,
        encodeSec: totals.steps.encode,
        meanVerifySec: totals.steps.verify / NODES,
        quorumSec: best.finalSec - stages.disperse - stages.pay,
        columns: best.columns,
        allRunsSec: runs.map(({ finalSec }) => shortNumber(finalSec)).join(' '),
      },
    },
    {
      name: `processor time of the ${NODES} nodes meanwhile`,
      measured: `${shortNumber(totals.cpuSec)} s`,
      reference: `${shortNumber(work(NODES))} s (the library's work alone)`,
      figure: totals.cpuSec / work(NODES),
      unit: 'x',
      details: {},
    },
    {
      name: `the same with ${AWAY_NODES} nodes stopped, to SOFT (${soft.columns} columns)`,
      measured: `${shortNumber(soft.softSec ?? Number.NaN)} s`,
      reference: `${shortNumber(softFloorSec)} s (floor of ${NODES - AWAY_NODES} nodes)`,
      figure: (soft.softSec ?? Number.NaN) / softFloorSec,
      unit: 'x the floor',
      details: { finalSec: soft.finalSec },
    },
    {
      name: 'column bytes between the nodes',
      measured: `${shortNumber(totals.receivedBytes / MIB)} MiB`,
      reference: `${shortNumber(cellBytes / MIB)} MiB (cells alone)`,
      figure: totals.receivedBytes / PAYLOAD_BYTES,
      unit: 'x the payload',
      details: { receivedBytes: totals.receivedBytes, payloadBytes: PAYLOAD_BYTES },
    },
  ]
}
