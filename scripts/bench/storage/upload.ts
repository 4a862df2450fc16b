import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { open, rm, truncate, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Devnet, startDevnet } from '../../devnet/start-devnet.ts'
import { type BenchCase, MIB, shortNumber } from './bench-case.ts'
import { busyCoreSpeeds } from './busy-cores.ts'
import { diskBytesPerSec } from './disk.ts'
import type { UploaderReport } from './uploader.ts'

const PROVIDERS = 8
const UPLOAD_BYTES = 256 * MIB
const LARGE_BYTES = 4096 * MIB
const SPEED_TARGET = 2.5
const MEMORY_TARGET_BYTES = 512 * MIB
const RUNS = 3
const UPLOAD_TIMEOUT_MS = 900_000

/** Uploads to eight providers in processes of their own: time of 256 MiB against the floor, memory of the uploader of 4 GiB. */
export async function benchUploads(options: {
  root: string
  folder: string
  report: (line: string) => void
  isOn: (name: 'upload' | 'memory') => boolean
}): Promise<BenchCase[]> {
  const { root, folder, report, isOn } = options
  const speeds = await measureSpeeds(folder)
  report('starting eight providers')
  const devnet = await startDevnet({
    root,
    base: join(folder, 'devnet'),
    agentCount: PROVIDERS,
    agentEnv: { LOG_LEVEL: 'warn', UNSEALED_BYTES_PER_OWNER: String(4 * LARGE_BYTES) },
  })
  try {
    // A block with each transaction: the bench measures the client, not the chain's block time.
    await devnet.provider.send('evm_setIntervalMining', [0])
    await devnet.provider.send('evm_setAutomine', [true])
    const cases: BenchCase[] = []
    if (isOn('upload')) {
      report('uploading 256 MiB')
      cases.push(await benchSpeed(devnet, { root, folder, speeds }))
    }
    if (isOn('memory')) {
      report('uploading 4 GiB')
      cases.push(await benchMemory(devnet, { root, folder }))
    }
    return cases
  } finally {
    await devnet.stop()
  }
}

type Speeds = { hash: number; encode: number; disk: number; cores: number }

async function measureSpeeds(folder: string): Promise<Speeds> {
  const cores = availableParallelism()
  return { ...(await busyCoreSpeeds(cores)), disk: await diskBytesPerSec(folder), cores }
}

/**
 * The least time that the work takes on this machine, which the client shares with the providers: first the client hashes
 * and encodes on all cores; then it encodes again while the providers hash on all cores, or while the disk writes.
 */
function floorSec({ hash, encode, disk, cores }: Speeds, bytes: number): number {
  const stored = 1.5 * bytes
  const prepareSec = (stored / hash + bytes / encode) / cores
  const storeSec = Math.max((stored / hash + bytes / encode) / cores, stored / disk)
  return prepareSec + storeSec
}

async function benchSpeed(
  devnet: Devnet,
  { root, folder, speeds }: { root: string; folder: string; speeds: Speeds },
): Promise<BenchCase> {
  const path = join(folder, 'upload.bin')
  const reports: UploaderReport[] = []
  for (let run = 0; run < RUNS; run++) {
    await writeRandom(path, UPLOAD_BYTES)
    reports.push(await upload(devnet, { root, path }))
  }
  await rm(path)
  const [best] = reports.toSorted((a, b) => a.totalSec - b.totalSec)
  if (best === undefined) throw new Error('nothing was uploaded')
  const floor = floorSec(speeds, UPLOAD_BYTES)
  const figure = best.totalSec / floor
  return {
    name: `upload of 256 MiB to ${PROVIDERS} providers on this machine`,
    measured: `${shortNumber(best.totalSec)} s`,
    reference: `${shortNumber(floor)} s (floor of hash, encode and synced disk)`,
    figure,
    unit: 'x',
    target: `<= ${SPEED_TARGET} x`,
    isReached: figure <= SPEED_TARGET,
    details: {
      floorSec: floor,
      hashBytesPerSec: speeds.hash,
      encodeBytesPerSec: speeds.encode,
      diskBytesPerSec: speeds.disk,
      cores: speeds.cores,
      ...Object.fromEntries(Object.entries(best.seconds).map(([stage, sec]) => [`${stage}Sec`, sec])),
      allRunsSec: reports.map(({ totalSec }) => shortNumber(totalSec)).join(' '),
    },
  }
}

async function benchMemory(
  devnet: Devnet,
  { root, folder }: { root: string; folder: string },
): Promise<BenchCase> {
  const path = join(folder, 'large.bin')
  // A sparse file: its zeros are read, hashed, encoded, sent and stored like any bytes.
  await writeFile(path, 'bench')
  await truncate(path, LARGE_BYTES)
  const report = await upload(devnet, { root, path })
  await rm(path)
  const figure = report.peakBytes / MIB
  return {
    name: 'memory of the uploader of 4 GiB',
    measured: `${shortNumber(figure)} MiB resident at most`,
    reference: '',
    figure,
    unit: 'MiB',
    target: `<= ${MEMORY_TARGET_BYTES / MIB} MiB`,
    isReached: report.peakBytes <= MEMORY_TARGET_BYTES,
    details: { totalSec: report.totalSec, sentBytes: report.sentBytes },
  }
}

async function upload(
  devnet: Devnet,
  { root, path }: { root: string; path: string },
): Promise<UploaderReport> {
  const script = join(root, 'dist/scripts/bench/storage/uploader.js')
  const args = [script, devnet.node.url, devnet.addressBook, path]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, BENCH_KEY: devnet.user.privateKey },
    timeout: UPLOAD_TIMEOUT_MS,
  })
  return JSON.parse(stdout) as UploaderReport
}

async function writeRandom(path: string, byteLength: number): Promise<void> {
  const handle = await open(path, 'w')
  const piece = new Uint8Array(MIB)
  for (let at = 0; at < byteLength; at += MIB) await handle.write(randomFillSync(piece), 0, MIB, at)
  await handle.sync()
  await handle.close()
}
