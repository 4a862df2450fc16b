import { randomFillSync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { DasContextJs } from '@crate-crypto/node-eth-kzg'
import { type EncodedPayload, encodePayload } from '../../../agents/da/encode-payload.ts'
import { checkColumns } from '../../../agents/da/verify-columns.ts'
import { createNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { encodeBlob } from '../../../sdk/protocol/blob.ts'
import { type BlobHeader, blobIdOf } from '../../../sdk/protocol/blob-header.ts'
import { COLUMNS, DATA_COLUMNS } from '../../../sdk/protocol/cell-layout.ts'
import { cellVerifier } from '../../../sdk/protocol/cell-proof.ts'
import { type Column, claimsOf } from '../../../sdk/protocol/column.ts'
import { type Hasher, loadHasher } from '../../../sdk/protocol/hasher.ts'
import { bytesEqual } from '../../../sdk/protocol/hex.ts'
import type { KzgEngine } from '../../../sdk/protocol/kzg-engine.ts'
import { shortNumber } from '../storage/bench-case.ts'
import { BLOB_COUNT, type DaCase, mibPerSec, PAYLOAD_BYTES, sane } from './da-case.ts'
import { named } from './encode.ts'
import { leastSpent, type Spent, spent } from './spent.ts'

const ROUNDS = 3
/** Columns of one of eight members. */
export const SHARE = COLUMNS / 8
/** Columns that a light client samples. */
const SAMPLES = 16

/** Processor time of the library alone for what a network must do with one payload, in seconds. */
export type LibraryCosts = {
  /** Commitment, cells and proofs of all its KZG blobs. */
  readonly encode: number
  /** All cells of the columns of one of eight members. */
  readonly checkShare: number
  /** All its commitments. */
  readonly commit: number
  /** All its KZG blobs from 64 cells each. */
  readonly recover: number
}

type Parts = {
  hasher: Hasher
  kzg: KzgEngine
  library: DasContextJs
  payload: Uint8Array
  encoded: EncodedPayload
}

/** Checks and restores columns of a payload: our code, with its hashing and off the event loop, against the library's bare calls. */
export async function benchChecks(): Promise<{ cases: DaCase[]; costs: LibraryCosts }> {
  const hasher = await loadHasher()
  const kzg = createNodeKzg({ usePrecomp: false })
  const library = DasContextJs.create({ usePrecomp: false })
  const payload = randomFillSync(new Uint8Array(PAYLOAD_BYTES))
  const blob = encodeBlob(payload, 0)
  const { bare, commit } = await leastSpent(ROUNDS, {
    bare: () => [library.blobToKzgCommitment(blob), library.computeCellsAndKzgProofs(blob)],
    commit: () => library.blobToKzgCommitment(blob),
  })
  let made: EncodedPayload | undefined
  const whole = await spent(async () => {
    made = await encodePayload({ hasher, kzg }, payload, { signal: new AbortController().signal })
  })
  if (made === undefined) throw new Error('nothing was encoded')
  const parts: Parts = { hasher, kzg, library, payload, encoded: made }
  const encode = BLOB_COUNT * bare.cpuSec
  const column = await checkCase(parts, made.columns.slice(0, 1))
  const share = await checkCase(parts, made.columns.slice(0, SHARE))
  const recovery = await recoveryCase(parts)
  const cases: DaCase[] = [
    {
      name: `payload of ${BLOB_COUNT} KZG blobs to columns, roots and header fields`,
      measured: `${shortNumber(whole.cpuSec)} s of processor time, ${shortNumber(whole.wallSec)} s`,
      reference: `${shortNumber(encode)} s (bare encode calls)`,
      figure: whole.cpuSec / encode,
      unit: 'x the processor time',
      details: {
        ...named('own', whole),
        mibPerSecACore: mibPerSec(BLOB_COUNT, whole.cpuSec),
        cores: availableParallelism(),
      },
    },
    column.found,
    share.found,
    recovery.found,
    await sampleCase(parts, BLOB_COUNT),
    await sampleCase(parts, 1),
  ]
  const costs = {
    encode,
    checkShare: share.bare.cpuSec,
    commit: BLOB_COUNT * commit.cpuSec,
    recover: BLOB_COUNT * recovery.bare.cpuSec,
  }
  return { cases, costs }
}

/** What a node does with columns it is offered: Merkle path, leaves and every KZG proof. */
async function checkCase({ hasher, kzg, library, encoded }: Parts, columns: readonly Column[]) {
  const header = headerOf(encoded)
  const place = { blobId: blobIdOf(header), header, commitments: encoded.commitments }
  const noFault = { put: () => sane(false, 'a right cell is a fault') }
  const { signal } = new AbortController()
  const claims = claimsOf(encoded.commitments, columns)
  const check = () => checkColumns({ hasher, kzg, faults: noFault }, place, { columns, signal })
  const bareCheck = () =>
    library.verifyCellKzgProofBatch(
      [...claims.commitments],
      [...claims.columns],
      [...claims.cells],
      [...claims.proofs],
    )
  sane(bareCheck(), 'the library refuses right cells')
  sane(await isRefused(kzg, claims), 'a wrong cell passes')
  const { own, bare } = await leastSpent(ROUNDS, { own: check, bare: bareCheck })
  const what = columns.length === 1 ? 'one column' : `${columns.length} columns at once`
  const found: DaCase = {
    name: `check of ${what}, ${BLOB_COUNT} cells each, Merkle part included`,
    measured: `${shortNumber(own.cpuSec * 1000)} ms`,
    reference: `${shortNumber(bare.cpuSec * 1000)} ms (bare batch verification)`,
    figure: own.cpuSec / bare.cpuSec,
    unit: 'x the processor time',
    details: { ...named('own', own), ...named('bare', bare) },
  }
  return { found, bare }
}

/** One KZG blob from 64 parity cells, the worst case. */
async function recoveryCase({ kzg, library, encoded }: Parts): Promise<{ found: DaCase; bare: Spent }> {
  const cells = encoded.columns.map(({ cells: [first] }) => first?.cell ?? new Uint8Array())
  const columns = Array.from({ length: DATA_COLUMNS }, (_, i) => DATA_COLUMNS + i)
  const parity = cells.slice(DATA_COLUMNS)
  const restored = await kzg.recover(columns, parity)
  sane(
    restored.cells.every((cell, k) => bytesEqual(cell, cells[k] ?? new Uint8Array())),
    'recovery gives other cells',
  )
  const { own, bare } = await leastSpent(ROUNDS, {
    own: () => kzg.recover(columns, parity),
    bare: () => library.recoverCellsAndKzgProofs(columns, parity),
  })
  const found: DaCase = {
    name: 'recovery of a KZG blob from 64 parity columns',
    measured: `${shortNumber(mibPerSec(1, own.cpuSec))} MiB/s a core`,
    reference: `${shortNumber(mibPerSec(1, bare.cpuSec))} MiB/s (bare synchronous call)`,
    figure: own.cpuSec / bare.cpuSec,
    unit: 'x the processor time',
    details: { ...named('own', own), ...named('bare', bare) },
  }
  return { found, bare }
}

/** What a light client does with its samples: in plain TypeScript, as in a browser, against the native engine. */
async function sampleCase({ kzg, encoded }: Parts, blobCount: number): Promise<DaCase> {
  const columns = encoded.columns
    .slice(-SAMPLES)
    .map((column) => ({ ...column, cells: column.cells.slice(0, blobCount) }))
  const claims = claimsOf(encoded.commitments.slice(0, blobCount), columns)
  sane(await cellVerifier.verifyCells(claims), 'plain TypeScript refuses right cells')
  sane(await isRefused(cellVerifier, claims), 'a wrong cell passes in plain TypeScript')
  const { plain, native } = await leastSpent(ROUNDS, {
    plain: () => cellVerifier.verifyCells(claims),
    native: () => kzg.verifyCells(claims),
  })
  return {
    name: `light client: ${SAMPLES} columns of ${blobCount} ${blobCount === 1 ? 'cell' : 'cells'}, plain TypeScript`,
    measured: `${shortNumber(plain.cpuSec * 1000)} ms`,
    reference: `${shortNumber(native.cpuSec * 1000)} ms (native engine)`,
    figure: plain.cpuSec / native.cpuSec,
    unit: 'x the processor time',
    details: { ...named('plain', plain), ...named('native', native) },
  }
}

/** Whether the claims are refused once a bit of the last cell is another. */
async function isRefused(
  verifier: Pick<KzgEngine, 'verifyCells'>,
  claims: ReturnType<typeof claimsOf>,
): Promise<boolean> {
  const wrong = Uint8Array.from(claims.cells.at(-1) ?? [])
  wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1
  return !(await verifier.verifyCells({ ...claims, cells: [...claims.cells.slice(0, -1), wrong] }))
}

/** The header that a disperser would sign, but for what the chain says. */
function headerOf(encoded: EncodedPayload): BlobHeader {
  const { blobCount, payloadBytes, payloadHash, commitmentsRoot, cellsRoot } = encoded
  const claim = { blobCount, payloadBytes, payloadHash, commitmentsRoot, cellsRoot }
  const nobody = `0x${'11'.repeat(20)}`
  return {
    ...claim,
    version: 1,
    chainId: 31_337n,
    da: nobody,
    disperser: nobody,
    epoch: 1n,
    nonce: 1n,
    expiresAt: 1n,
  }
}
