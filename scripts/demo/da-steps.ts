import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { publishNotes } from '../../agents/cli/commands/da-publish.ts'
import { formatBytes, formatWei, shortHex } from '../../agents/cli/format.ts'
import type { Output } from '../../agents/cli/output.ts'
import { devAccount, PUBLISHER_ACCOUNT } from '../../deploy/dev-account.ts'
import { readBlobRecord } from '../../sdk/chain/da.ts'
import { readActiveEpoch, readCommittee } from '../../sdk/chain/da-committee.ts'
import { daEventFilter, decodeDaEvent } from '../../sdk/chain/da-events.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { loadNodeKzg } from '../../sdk/client/kzg-node.ts'
import { createLightClient } from '../../sdk/client/light-client.ts'
import { publishBlob } from '../../sdk/client/publish-blob.ts'
import { readBlob } from '../../sdk/client/read-blob.ts'
import { bytesEqual } from '../../sdk/protocol/hex.ts'
import { columnCount } from '../../sdk/protocol/quorum.ts'
import type { Devnet, DevnetAgent } from '../devnet/start-devnet.ts'
import { waitUntil } from '../devnet/wait-until.ts'
import { gasOf, readDaRecord } from './da-record.ts'

/** A blob as it came to be; seconds from the request on, gas of each transaction. */
export type BlobStory = {
  what: string
  blobId: string
  bytes: number
  kzgBlobs: number
  columns: number
  softSeconds?: number
  finalSeconds: number
  gas: { submit: number; soft?: number; final: number }
  feeWei: bigint
}

/** What the steps of data availability hand on to each other, and to the summary. */
export type DaStory = {
  readonly devnet: Devnet
  readonly output: Output
  readonly signal: AbortSignal
  readonly fromBlock: number
  readonly blobs: BlobStory[]
  /** Seats of each node when the first blob was published, by operator. */
  readonly seats: Map<string, number>
  readonly lost: Map<string, 'killed' | 'lost its columns'>
  payload?: Uint8Array
  sample?: { verdict: string; samples: number; foolChance: number; seconds: number }
  read?: { bytes: number; seconds: number; isRebuilt: boolean }
}

const RETENTION_PERIODS = 20n
const AWAY_NODES = 2
const FORM_EPOCHS = 4
const FINAL_TIMEOUT_MS = 90_000
const MISS_PERIODS = 10
const BLOCK_TIMEOUT_MS = 3_000

/** Waits for the first committee that seats every node. */
export async function awaitCommittee({ devnet, output, signal, seats }: DaStory): Promise<void> {
  const { chain, daAgents } = devnet
  const { periodBlocks, epochPeriods } = chain.terms
  const committee = await waitUntil(
    async () => {
      const epoch = await readActiveEpoch(chain, { signal })
      if (epoch === undefined) return undefined
      const formed = await readCommittee(chain, epoch, { signal })
      return formed.members.length === daAgents.length ? formed : undefined
    },
    {
      what: `a committee of ${daAgents.length} nodes`,
      timeoutMs: Number(periodBlocks * epochPeriods) * FORM_EPOCHS * BLOCK_TIMEOUT_MS,
      everyMs: 500,
      signal,
    },
  )
  for (const { operator, columns } of committee.members) seats.set(operator, columns.length)
  output.note(
    `   epoch ${committee.epoch}: ${committee.members.length} nodes hold 128 columns, a seat is ${formatWei(committee.seatWei)}`,
  )
}

/** Publishes the manifest while two nodes are stopped: SOFT. Once they go on, FINAL. */
export async function publishManifest(story: DaStory, manifest: Uint8Array): Promise<void> {
  const { devnet, output } = story
  const away = devnet.daAgents.slice(-AWAY_NODES)
  for (const { child, name } of away) {
    process.kill(child.pid, 'SIGSTOP')
    output.note(`   ${name} is stopped`)
  }
  try {
    await publish(story, { what: 'manifest', payload: manifest, until: 'soft' })
  } finally {
    for (const { child } of away) process.kill(child.pid, 'SIGCONT')
  }
}

/** Publishes a multi-megabyte payload with everybody there. */
export async function publishPayload(story: DaStory, payload: Uint8Array): Promise<void> {
  story.payload = payload
  await publish(story, { what: 'payload', payload, until: 'final' })
}

async function publish(
  story: DaStory,
  { what, payload, until }: { what: string; payload: Uint8Array; until: 'soft' | 'final' },
): Promise<void> {
  const { devnet, output, signal } = story
  const { chain, provider } = devnet
  const startedMs = performance.now()
  const elapsed = () => (performance.now() - startedMs) / 1000
  const notes = publishNotes(output)
  const result = await publishBlob({
    chain,
    payload,
    retentionPeriods: RETENTION_PERIODS,
    signer: devAccount(PUBLISHER_ACCOUNT, provider),
    disperser: devnet.daAgents[0]?.address ?? '',
    until,
    transport: nodeTransport,
    onProgress: notes.update,
    signal,
  }).finally(notes.stop)
  const { blobId, header, feeWei, gasUsed } = result
  const reachedSeconds = elapsed()
  if (until === 'soft') {
    output.note(
      `   SOFT after ${reachedSeconds.toFixed(1)} s, ${columnCount(result.record.columns)} of 128 columns`,
    )
    for (const { child } of devnet.daAgents.slice(-AWAY_NODES)) process.kill(child.pid, 'SIGCONT')
  }
  const record = await waitUntil(
    async () => {
      const found = await readBlobRecord(chain, blobId, { signal })
      return found?.status === 'final' ? found : undefined
    },
    { what: 'FINAL', timeoutMs: FINAL_TIMEOUT_MS, everyMs: 200, signal },
  )
  const finalSeconds = elapsed()
  output.note(`   FINAL after ${finalSeconds.toFixed(1)} s, ${columnCount(record.columns)} of 128 columns`)
  story.blobs.push({
    what,
    blobId,
    bytes: payload.length,
    kzgBlobs: header.blobCount,
    columns: columnCount(record.columns),
    ...(until === 'soft' ? { softSeconds: reachedSeconds } : {}),
    finalSeconds,
    gas: { submit: Number(gasUsed), ...(await confirmationGas(story, blobId)) },
    feeWei,
  })
}

const STATUS_FINAL = 3n

async function confirmationGas(
  { devnet: { chain, provider }, fromBlock }: DaStory,
  blobId: string,
): Promise<{ soft?: number; final: number }> {
  const filter = daEventFilter(chain.book, ['BlobConfirmed'])
  const logs = await provider.getLogs({ ...filter, fromBlock, toBlock: 'latest' })
  const gas: { soft?: number; final: number } = { final: 0 }
  for (const log of logs) {
    const event = decodeDaEvent(chain.book, log)
    if (event?.name !== 'BlobConfirmed' || event.args.blobId !== blobId) continue
    gas[event.args.status === STATUS_FINAL ? 'final' : 'soft'] = await gasOf(provider, log.transactionHash)
  }
  return gas
}

/** A light client makes sure that the payload is there. */
export async function samplePayload(story: DaStory): Promise<void> {
  const { devnet, output, signal } = story
  const startedMs = performance.now()
  const verifier = await loadNodeKzg()
  const client = createLightClient({ chain: devnet.chain, verifier, transport: nodeTransport })
  const verdict = await client.sample(payloadBlob(story).blobId, { signal })
  const seconds = (performance.now() - startedMs) / 1000
  if (verdict.verdict !== 'AVAILABLE') throw new Error(`the light client says ${verdict.verdict}`)
  const { samples, foolChance } = verdict
  story.sample = { verdict: verdict.verdict, samples: samples.length, foolChance, seconds }
  output.note(
    `   ${verdict.verdict}: ${samples.length} columns verified in ${seconds.toFixed(1)} s; withheld data passes with ${foolChance.toExponential(1)}`,
  )
}

/** One node dies, another stops and loses its columns. */
export async function loseNodes({ devnet, output, lost }: DaStory): Promise<void> {
  const [dead, wiped] = devnet.daAgents.slice(-AWAY_NODES)
  if (dead === undefined || wiped === undefined) throw new Error('the devnet has too few DA agents')
  await dead.child.kill('SIGKILL')
  lost.set(dead.address, 'killed')
  output.note(`   ${dead.name} (process ${dead.child.pid}) is dead`)
  await wiped.child.kill('SIGKILL')
  await rm(join(wiped.folder, 'columns'), { recursive: true, force: true })
  lost.set(wiped.address, 'lost its columns')
  output.note(`   ${wiped.name} is down, and its columns are deleted`)
}

/** Reads the payload back from the nodes that are left. */
export async function readPayloadBack(story: DaStory): Promise<void> {
  const { devnet, output, payload, signal } = story
  const bar = output.bar('columns ', 'columns')
  const startedMs = performance.now()
  const result = await readBlob({
    chain: devnet.chain,
    blobId: payloadBlob(story).blobId,
    kzg: await loadNodeKzg(),
    transport: nodeTransport,
    onProgress: ({ step, done, total }) => {
      if (step === 'columns') bar.update(done, total)
    },
    signal,
  }).finally(bar.stop)
  const seconds = (performance.now() - startedMs) / 1000
  if (payload === undefined || !bytesEqual(result.payload, payload))
    throw new Error('the payload read back differs')
  story.read = { bytes: payload.length, seconds, isRebuilt: result.isRebuilt }
  output.note(
    `   ${formatBytes(payload.length)} equal byte for byte in ${seconds.toFixed(1)} s` +
      (result.isRebuilt ? ', lost columns restored from parity' : ''),
  )
}

/** The audit finds the node without columns, and slashes it; then it comes back and rebuilds them. */
export async function watchDaMisses(story: DaStory): Promise<void> {
  const { devnet, output, lost, signal, fromBlock } = story
  const { chain, provider } = devnet
  const waiting = {
    timeoutMs: Number(chain.terms.periodBlocks) * MISS_PERIODS * BLOCK_TIMEOUT_MS,
    everyMs: 1_000,
    signal,
  }
  const shown = new Set<string>()
  await waitUntil(
    async () => {
      const { misses } = await readDaRecord(chain, provider, fromBlock)
      for (const { provider: by, period, draw, slashedWei, reporter } of misses) {
        const key = `${period}-${draw}`
        if (shown.has(key)) continue
        shown.add(key)
        output.note(
          `   period ${period}: ${nameOf(devnet, by)} missed draw ${draw}, slashed ${formatWei(slashedWei)}, reported by ${nameOf(devnet, reporter)}`,
        )
      }
      return [...lost.keys()].every((operator) => misses.some((miss) => miss.provider === operator))
        ? true
        : undefined
    },
    { ...waiting, what: 'a reported miss of each node that is gone' },
  )
  const wiped = devnet.daAgents.find(({ address }) => lost.get(address) === 'lost its columns')
  if (wiped === undefined) return
  await devnet.restartAgent(wiped)
  output.note(`   ${wiped.name} is back, without a column`)
  const columns = await columnsOf(story, wiped.address)
  await waitUntil(
    async () => {
      const served = await Promise.all(columns.map((column) => isServed(story, wiped, column)))
      return served.every(Boolean) ? true : undefined
    },
    { ...waiting, what: `${columns.length} columns rebuilt by ${wiped.name}` },
  )
  output.note(`   ${wiped.name} has rebuilt all ${columns.length} of its columns from the others`)
}

/** Columns of the payload that an operator attested. */
async function columnsOf({ devnet: { chain }, signal, ...story }: DaStory, operator: string) {
  const record = await readBlobRecord(chain, payloadBlob(story).blobId, { signal })
  if (record === undefined) throw new Error('the payload is not on chain')
  const { members } = await readCommittee(chain, record.epoch, { signal })
  return members.find((member) => member.operator === operator)?.columns ?? []
}

async function isServed(story: DaStory, { url }: DevnetAgent, column: number): Promise<boolean> {
  const response = await fetch(`${url}/da/blobs/${payloadBlob(story).blobId}/columns/${column}`, {
    signal: AbortSignal.timeout(10_000),
  })
  await response.arrayBuffer()
  return response.ok
}

export function nameOf({ daAgents }: Devnet, operator: string): string {
  const agent: DevnetAgent | undefined = daAgents.find(({ address }) => address === operator)
  return agent?.name ?? shortHex(operator)
}

function payloadBlob({ blobs }: Pick<DaStory, 'blobs'>): BlobStory {
  const found = blobs.find(({ what }) => what === 'payload')
  if (found === undefined) throw new Error('the payload was not published')
  return found
}
