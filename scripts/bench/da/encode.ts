import { randomFillSync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { DasContextJs } from '@crate-crypto/node-eth-kzg'
import { createNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { encodeBlob, PAYLOAD_BYTES_PER_BLOB, PREFIX_BYTES } from '../../../sdk/protocol/blob.ts'
import { bytesEqual } from '../../../sdk/protocol/hex.ts'
import type { KzgEngine } from '../../../sdk/protocol/kzg-engine.ts'
import { MIB, shortNumber } from '../storage/bench-case.ts'
import { type DaCase, mibPerSec, sane } from './da-case.ts'
import { leastSpent, type Spent, spent } from './spent.ts'

const ROUNDS = 3
/** Blobs in flight for each core. */
const WIDTH = 2

type Encoding = { cases: DaCase[]; bare: Spent; own: Spent }

/** Encodes KZG blobs into cells and proofs: our engine against the library's bare synchronous calls, without and with precomputed tables. */
export async function benchEncode(): Promise<DaCase[]> {
  const plain = await encodeCases({ usePrecomp: false })
  const residentBytes = process.memoryUsage.rss()
  let engine: KzgEngine | undefined
  const loading = await spent(() => {
    engine = createNodeKzg({ usePrecomp: true })
  })
  const tableMib = (process.memoryUsage.rss() - residentBytes) / MIB
  const precomputed = await encodeCases({ usePrecomp: true, engine })
  return [
    ...plain.cases,
    ...precomputed.cases,
    {
      name: 'what precomputed tables bring',
      measured: `${shortNumber(mibPerSec(1, precomputed.own.cpuSec))} MiB/s a core`,
      reference: `${shortNumber(mibPerSec(1, plain.own.cpuSec))} MiB/s a core without`,
      figure: plain.own.cpuSec / precomputed.own.cpuSec,
      unit: 'x as fast',
      details: { tableMib, loadCpuSec: loading.cpuSec },
    },
  ]
}

async function encodeCases({
  usePrecomp,
  engine = createNodeKzg({ usePrecomp }),
}: {
  usePrecomp: boolean
  engine?: KzgEngine | undefined
}): Promise<Encoding> {
  const library = DasContextJs.create({ usePrecomp })
  const blob = randomBlob()
  const flights = availableParallelism() * WIDTH
  const { commitment, cells, proofs } = await engine.encode(blob)
  const expected = library.computeCellsAndKzgProofs(blob)
  sane(
    bytesEqual(commitment, library.blobToKzgCommitment(blob)) &&
      [...cells, ...proofs].every((bytes, i) =>
        bytesEqual(bytes, [...expected.cells, ...expected.proofs][i] ?? new Uint8Array()),
      ),
    'the engine encodes otherwise than its library',
  )
  const { bare, own, many } = await leastSpent(ROUNDS, {
    bare: () => [library.blobToKzgCommitment(blob), library.computeCellsAndKzgProofs(blob)],
    own: () => engine.encode(blob),
    many: () => Promise.all(Array.from({ length: flights }, () => engine.encode(blob))),
  })
  const tables = usePrecomp ? ', precomputed tables' : ''
  const floorSec = (flights * bare.cpuSec) / availableParallelism()
  const cpuRatio = many.cpuSec / (flights * bare.cpuSec)
  const cases: DaCase[] = [
    {
      name: `encode, one KZG blob at a time${tables}`,
      measured: `${shortNumber(mibPerSec(1, own.cpuSec))} MiB/s a core`,
      reference: `${shortNumber(mibPerSec(1, bare.cpuSec))} MiB/s (bare synchronous calls)`,
      figure: own.cpuSec / bare.cpuSec,
      unit: 'x the processor time',
      details: { ...named('own', own), ...named('bare', bare) },
    },
    {
      name: `encode, ${flights} KZG blobs in flight${tables}`,
      measured: `${shortNumber(mibPerSec(flights, many.wallSec))} MiB/s; ${shortNumber(cpuRatio)} x the processor time`,
      reference: `${shortNumber(mibPerSec(flights, floorSec))} MiB/s (bare calls, all ${availableParallelism()} cores)`,
      figure: many.wallSec / floorSec,
      unit: 'x the floor',
      details: { ...named('own', many), cpuRatio },
    },
  ]
  return { cases, bare, own }
}

/** `spent` as details of a case. */
export function named(name: string, { wallSec, cpuSec }: Spent): Record<string, number> {
  return { [`${name}WallSec`]: wallSec, [`${name}CpuSec`]: cpuSec }
}

function randomBlob(): Uint8Array {
  return encodeBlob(randomFillSync(new Uint8Array(PAYLOAD_BYTES_PER_BLOB - PREFIX_BYTES)), 0)
}
