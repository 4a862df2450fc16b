import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { uploadBars } from '../../agents/cli/commands/storage-upload.ts'
import { formatBytes, formatSeconds, formatWei, shortHex } from '../../agents/cli/format.ts'
import { type Output, toJson } from '../../agents/cli/output.ts'
import { readProviderStream } from '../../sdk/chain/storage.ts'
import { downloadPath, uploadPath } from '../../sdk/client/paths-node.ts'
import { type Quote, quoteUpload } from '../../sdk/client/price.ts'
import { folderStateStore } from '../../sdk/client/state-store-node.ts'
import type { UploadResult } from '../../sdk/client/upload.ts'
import { isZerogError } from '../../sdk/protocol/errors.ts'
import type { Devnet, DevnetAgent } from '../devnet/start-devnet.ts'
import { waitUntil } from '../devnet/wait-until.ts'
import { type AuditRecord, expectedPeriods, readAuditRecord } from './audit-record.ts'
import { compareFiles } from './compare-files.ts'
import * as compute from './compute-steps.ts'
import { type ComputeStory, startComputeStory } from './compute-story.ts'
import { summarizeCompute } from './compute-summary.ts'
import * as da from './da-steps.ts'
import { summarizeDa } from './da-summary.ts'
import { runBatchJob } from './job-steps.ts'
import { type MoneyRecord, moneyLines, readMoney } from './money.ts'
import type { HolderRecord, StepRecord, Summary } from './summary.ts'

const PROVEN_PERIODS = 3
const KILLED_AGENTS = 2
const MISS_PERIODS = 10
const BLOCK_TIMEOUT_MS = 3_000
/** Bytes of the file that are published as one blob; a shorter file is repeated. */
const PUBLISHED_BYTES = 3_000_000

/** What the steps hand on to each other. */
type Job = {
  devnet: Devnet
  file: string
  bytes: number
  output: Output
  signal: AbortSignal
  fromBlock: number
  steps: StepRecord[]
  killed: DevnetAgent[]
  da: da.DaStory
  compute: ComputeStory
  money?: MoneyRecord
  balanceBeforeWei: bigint
  quote?: Quote
  upload?: UploadResult
  downloadSeconds?: number
  audits?: AuditRecord
}

/**
 * Stores a real file, publishes its manifest and a part of it as blobs, has both audited, stores models and has them asked, kills
 * providers and nodes, reads everything back, sees them slashed; then says what happened.
 */
export async function runMainJob(options: {
  devnet: Devnet
  file: string
  output: Output
  signal: AbortSignal
}): Promise<Summary> {
  const { devnet, file, output, signal } = options
  const startedMs = Date.now()
  const fromBlock = await devnet.provider.getBlockNumber()
  const job: Job = {
    ...options,
    bytes: (await stat(file)).size,
    fromBlock,
    steps: [],
    killed: [],
    da: { devnet, output, signal, fromBlock: 0, blobs: [], seats: new Map(), lost: new Map() },
    compute: startComputeStory({ devnet, output, signal }),
    balanceBeforeWei: await devnet.provider.getBalance(devnet.user.address),
  }
  try {
    return await summarize(job, await runSteps(job), startedMs)
  } finally {
    job.compute.inference.close()
  }
}

/** All steps, as far as they hold. */
async function runSteps(job: Job): Promise<boolean> {
  return (
    (await step(job, 'price', showPrice)) &&
    (await step(job, 'upload and seal', upload)) &&
    // Models are stored while the first committee forms, and asked while periods pass in which sectors are drawn.
    (await step(job, 'store the models, three compute agents serve them', () =>
      compute.publishModels(job.compute),
    )) &&
    (await step(job, 'a committee attests data availability', () => da.awaitCommittee(job.da))) &&
    (await step(job, 'publish the manifest: SOFT with two nodes away, then FINAL', publishManifest)) &&
    (await step(job, `publish ${formatBytes(PUBLISHED_BYTES)} of the file: FINAL`, publishContent)) &&
    (await step(job, 'a light client samples it', () => da.samplePayload(job.da))) &&
    (await step(job, 'classify the held-out digits through the network', () =>
      compute.classifyDigits(job.compute),
    )) &&
    (await step(job, 'stream a chat completion', () => compute.streamChat(job.compute))) &&
    (await step(job, 'a batch job through the escrow', () => runBatchJob(job.compute))) &&
    (await step(job, 'kill a compute provider in the middle of a stream', () =>
      compute.killMidStream(job.compute),
    )) &&
    (await step(job, 'settle what was answered', () => compute.settle(job.compute))) &&
    (await step(job, `answers in ${PROVEN_PERIODS} periods`, watchAnswers)) &&
    (await step(job, `kill ${KILLED_AGENTS} providers`, killProviders)) &&
    (await step(job, 'kill a node, delete the columns of another', () => da.loseNodes(job.da))) &&
    (await step(job, 'download through the loss, byte for byte', download)) &&
    (await step(job, 'read the blob back from the rest', () => da.readPayloadBack(job.da))) &&
    (await step(job, 'a reported miss and a slash for each dead provider', watchMisses)) &&
    (await step(job, 'a reported miss and a slash for each lost node', () => da.watchDaMisses(job.da))) &&
    (await step(job, 'the money of everybody adds up to the wei', countMoney))
  )
}

async function step(job: Job, name: string, work: (job: Job) => Promise<void>): Promise<boolean> {
  const startedMs = Date.now()
  job.output.note(`\n== ${name}`)
  try {
    await work(job)
    job.steps.push({ step: name, held: true, seconds: (Date.now() - startedMs) / 1000 })
    return true
  } catch (error) {
    if (job.signal.aborted) throw error
    const message = isZerogError(error) ? `${error.code}: ${error.message}` : String(error)
    job.output.note(`   failed: ${message}`)
    job.steps.push({ step: name, held: false, seconds: (Date.now() - startedMs) / 1000, error: message })
    return false
  }
}

async function showPrice(job: Job): Promise<void> {
  const { devnet, output, bytes, file, signal } = job
  const quote = await quoteUpload(devnet.chain, { byteLength: bytes, signal })
  job.quote = quote
  const head = await devnet.provider.getBlockNumber()
  output.note(
    `   ${file}, ${formatBytes(bytes)}: ${quote.layout.dataShards} data + ${quote.parityShards} parity shards`,
  )
  output.note(
    `   ${formatWei(quote.feeWei)} until period ${quote.expiresAt} (about ${formatSeconds(Number(quote.expiresAtBlock) - head)}), ` +
      `bond ${formatWei(quote.bondWei)}`,
  )
  output.note(`   user ${shortHex(devnet.user.address)} has ${formatWei(job.balanceBeforeWei)}`)
}

async function upload(job: Job): Promise<void> {
  const { devnet, output, file, signal } = job
  const bars = uploadBars(output)
  const result = await uploadPath({
    chain: devnet.chain,
    path: file,
    signer: devnet.user,
    stateStore: folderStateStore(join(devnet.folder, 'uploads')),
    onProgress: bars.update,
    signal,
  }).finally(bars.stop)
  job.upload = result
  output.note(`   root ${result.root}, txSeq ${result.txSeq}`)
  for (const { provider, shards } of result.custodians) {
    output.note(`   ${agentOf(job, provider)?.name ?? shortHex(provider)} keeps shards ${shards.join(', ')}`)
  }
}

/** Publishes what finds the file again: its root, its number, and who keeps which shards. */
async function publishManifest({ da: story, upload: uploaded, quote, file, bytes }: Job): Promise<void> {
  const manifest = {
    file,
    bytes,
    root: uploaded?.root,
    txSeq: uploaded?.txSeq,
    dataShards: quote?.layout.dataShards,
    parityShards: quote?.parityShards,
    custodians: uploaded?.custodians,
  }
  await da.publishManifest(story, new TextEncoder().encode(toJson(manifest)))
}

async function publishContent({ da: story, file, bytes }: Job): Promise<void> {
  const payload = new Uint8Array(PUBLISHED_BYTES)
  const handle = await open(file)
  try {
    for (let done = 0; done < payload.length; ) {
      done += (await handle.read(payload, done, payload.length - done, done % bytes)).bytesRead
    }
  } finally {
    await handle.close()
  }
  await da.publishPayload(story, payload)
}

async function watchAnswers(job: Job): Promise<void> {
  const { devnet, output, signal } = job
  const { periodBlocks } = devnet.chain.terms
  const shown = new Set<bigint>()
  await waitUntil(
    async () => {
      const record = await readAuditRecord(devnet.chain, devnet.provider, job.fromBlock)
      const proven = record.periods.filter(({ draws, answered }) => answered === draws)
      for (const { period, draws } of proven) {
        if (!shown.has(period)) output.note(`   period ${period}: ${draws} sectors drawn, all answered`)
        shown.add(period)
      }
      const missed = record.periods.reduce((sum, period) => sum + period.missed, 0)
      if (missed > 0) throw new Error(`${missed} draws were missed while everybody was alive`)
      return proven.length >= PROVEN_PERIODS ? record : undefined
    },
    {
      what: `${PROVEN_PERIODS} periods with all draws answered`,
      timeoutMs: Number(periodBlocks) * (PROVEN_PERIODS + 3) * BLOCK_TIMEOUT_MS,
      everyMs: 1_000,
      signal,
    },
  )
}

async function killProviders(job: Job): Promise<void> {
  const { devnet, output, upload: uploaded } = job
  const holders = devnet.agents.filter(({ address }) =>
    uploaded?.custodians.some(({ provider }) => provider === address),
  )
  job.killed = holders.slice(0, KILLED_AGENTS)
  for (const agent of job.killed) {
    await agent.child.kill('SIGKILL')
    output.note(`   ${agent.name} (process ${agent.child.pid}) is dead`)
  }
}

async function download(job: Job): Promise<void> {
  const { devnet, output, upload: uploaded, file, signal } = job
  const copy = join(devnet.folder, 'downloaded')
  const bar = output.bar('reading ', 'MB')
  const result = await downloadPath({
    chain: devnet.chain,
    root: uploaded?.root ?? '',
    path: copy,
    overwrite: true,
    onProgress: ({ doneBytes, totalBytes }) => bar.update(doneBytes, totalBytes),
    signal,
  }).finally(bar.stop)
  job.downloadSeconds = result.seconds
  await compareFiles(file, copy)
  await rm(copy)
  output.note(
    `   ${formatBytes(result.byteLength)} equal byte for byte; ` +
      (result.rebuiltShards.length === 0
        ? 'only parity was lost'
        : `shards ${result.rebuiltShards.join(', ')} rebuilt from parity`),
  )
}

async function watchMisses(job: Job): Promise<void> {
  const { devnet, output, killed, upload: uploaded, signal } = job
  const { periodBlocks } = devnet.chain.terms
  const allShards = uploaded?.custodians.reduce((sum, { shards }) => sum + shards.length, 0) ?? 0
  const record = await readAuditRecord(devnet.chain, devnet.provider, job.fromBlock)
  const draws = record.periods.at(-1)?.draws ?? 0
  for (const agent of killed) {
    const held = uploaded?.custodians.find(({ provider }) => provider === agent.address)?.shards.length ?? 0
    const periods = expectedPeriods(held / allShards, draws)
    output.note(
      `   ${agent.name} holds ${held} of ${allShards} shards: a miss is expected within ${periods.toFixed(2)} periods`,
    )
  }
  const shown = new Set<string>()
  await waitUntil(
    async () => {
      const { misses } = await readAuditRecord(devnet.chain, devnet.provider, job.fromBlock)
      for (const { provider, period, draw, slashedWei, reporter } of misses) {
        const key = `${period}-${draw}`
        if (shown.has(key)) continue
        shown.add(key)
        const name = agentOf(job, provider)?.name ?? provider
        output.note(
          `   period ${period}: ${name} missed draw ${draw}, slashed ${formatWei(slashedWei)}, reported by ${agentOf(job, reporter)?.name ?? shortHex(reporter)}`,
        )
      }
      const seen = new Set(misses.map(({ provider }) => provider))
      return killed.every(({ address }) => seen.has(address)) ? true : undefined
    },
    {
      what: 'a reported miss of each dead provider',
      timeoutMs: Number(periodBlocks) * MISS_PERIODS * BLOCK_TIMEOUT_MS,
      everyMs: 1_000,
      signal,
    },
  )
}

async function countMoney(job: Job): Promise<void> {
  job.money = await readMoney(job.devnet, job.fromBlock)
  for (const line of moneyLines(job.money).slice(-2)) job.output.note(`   ${line}`)
  if (job.money.unexplainedWei !== 0n) throw new Error(`${job.money.unexplainedWei} wei are unexplained`)
  if (job.money.uncoveredWei !== 0n) throw new Error(`${job.money.uncoveredWei} wei are owed, and not there`)
}

async function summarize(job: Job, held: boolean, startedMs: number): Promise<Summary> {
  const { devnet, upload: uploaded, quote, bytes } = job
  const audits = await readAuditRecord(devnet.chain, devnet.provider, job.fromBlock)
  const balanceWei = await devnet.provider.getBalance(devnet.user.address)
  const strangers = audits.misses.filter(
    ({ provider }) => !job.killed.some(({ address }) => address === provider),
  )
  if (strangers.length > 0) {
    job.steps.push({
      step: 'nobody alive was slashed',
      held: false,
      seconds: 0,
      error: `${strangers.length} misses`,
    })
  }
  const daSummary = await summarizeDa(job.da)
  const aliveSlashed = daSummary.nodes.filter(({ fate, missed }) => fate === '' && missed > 0)
  if (aliveSlashed.length > 0) {
    job.steps.push({
      step: 'no node alive was slashed',
      held: false,
      seconds: 0,
      error: aliveSlashed.map(({ name }) => name).join(', '),
    })
  }
  const holders = await Promise.all(
    // Also those without a shard of the file: they keep parts of the models, and are drawn for them.
    devnet.agents.map(async ({ name, address: provider }): Promise<HolderRecord> => {
      const own = uploaded?.custodians.find((custodian) => custodian.provider === provider)
      const stream = await readProviderStream(devnet.chain, provider)
      const misses = audits.misses.filter((miss) => miss.provider === provider)
      return {
        name,
        operator: provider,
        shards: [...(own?.shards ?? [])],
        killed: job.killed.some(({ address }) => address === provider),
        answered: audits.answersOf.get(provider) ?? 0,
        missed: misses.length,
        slashedWei: misses.reduce((sum, miss) => sum + miss.slashedWei, 0n),
        suspended: stream.suspended,
        earnedWei: stream.creditWei + stream.claimableWei + (audits.withdrawnOf.get(provider) ?? 0n),
      }
    }),
  )
  const sendSeconds = uploaded === undefined ? 0 : uploaded.seconds.prepare + uploaded.seconds.send
  return {
    ok: held && strangers.length === 0 && aliveSlashed.length === 0,
    steps: job.steps,
    file: { path: job.file, bytes, ...(uploaded && { root: uploaded.root, txSeq: uploaded.txSeq }) },
    dataShards: quote?.layout.dataShards ?? 0,
    parityShards: quote?.parityShards ?? 0,
    priceWei: quote?.feeWei ?? 0n,
    bondWei: quote?.bondWei ?? 0n,
    spentWei: job.balanceBeforeWei - balanceWei,
    gas: {
      ...(uploaded && { submit: Number(uploaded.gas.submit), seal: Number(uploaded.gas.seal) }),
      ...audits.gas,
    },
    holders,
    periods: audits.periods,
    da: daSummary,
    compute: summarizeCompute(job.compute),
    ...(job.money && { money: job.money }),
    uploadMBps: perSecond(bytes, sendSeconds),
    sealSeconds: uploaded === undefined ? 0 : uploaded.seconds.pay + uploaded.seconds.seal,
    downloadMBps: perSecond(bytes, job.downloadSeconds ?? 0),
    secondsAll: (Date.now() - startedMs) / 1000,
  }
}

function perSecond(bytes: number, seconds: number): number {
  return seconds === 0 ? 0 : bytes / 1e6 / seconds
}

function agentOf(job: Job, operator: string): DevnetAgent | undefined {
  return job.devnet.agents.find(({ address }) => address === operator)
}
