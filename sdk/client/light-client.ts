import { readConfirmation } from '../chain/da.ts'
import type { DaChain } from '../chain/da-chain.ts'
import type { BlobHeader } from '../protocol/blob-header.ts'
import { COLUMNS } from '../protocol/cell-layout.ts'
import { type CellVerifier, cellVerifier } from '../protocol/cell-proof.ts'
import { type Column, claimsOf } from '../protocol/column.ts'
import { type ErrorCode, errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import { loadHasher } from '../protocol/hasher.ts'
import { drawRandom, foolChance, samplesFor } from '../protocol/sampling.ts'
import { connectDaPeers, type DaPeers, type PeerFault } from './da-peers.ts'
import { type FoundBlob, findBlob } from './find-blob.ts'
import type { HttpTransport } from './http.ts'
import { type QuorumProof, verifyQuorum } from './quorum-proof.ts'

/** What came of one sampled column: served by `operator` and right, or why not. */
export type ColumnSample =
  | { readonly column: number; readonly isServed: true; readonly operator: string }
  | { readonly column: number; readonly isServed: false; readonly code: ErrorCode }

/** What every verdict tells of the sampling. */
type Sampled = {
  readonly blobId: string
  readonly header: BlobHeader
  readonly quorum: 'soft' | 'final'
  readonly samples: readonly ColumnSample[]
  readonly faults: readonly PeerFault[]
}

/**
 * AVAILABLE: all samples were served but for a few, for which more were taken; a blob that nobody can restore would have passed with at most
 * `foolChance`, and `confidence` is 1 - foolChance. UNAVAILABLE: too many were not. INVALID: what was published contradicts itself, the
 * same for every client; nobody needs it.
 */
export type Verdict =
  | (Sampled & { readonly verdict: 'AVAILABLE'; readonly confidence: number; readonly foolChance: number })
  | (Sampled & { readonly verdict: 'UNAVAILABLE' })
  | {
      readonly verdict: 'INVALID'
      readonly blobId: string
      readonly reason: 'header' | 'cell'
      readonly error: ZerogError
    }

/** A client that checks whether data is there without reading it. It keeps nothing between calls. */
export type LightClient = {
  /**
   * Samples one blob.
   *
   * Errors: DA_UNKNOWN_BLOB; DA_REFUNDED; DA_EXPIRED; DA_NOT_CONFIRMED below the SOFT quorum; SIGNATURE_INVALID when the quorum's signature
   * does not verify (the RPC lies); RPC_UNREACHABLE; ABORTED.
   */
  sample(blobId: string, options?: { readonly signal?: AbortSignal }): Promise<Verdict>
}

const DEFAULT_SAMPLES = 16
/** Misses made up for by more samples, at most: by 58 of 128. */
const MAX_MISSES = 16
const PARALLEL = 8
/** Members besides a column's holder that are asked for it. */
const OTHERS = 2

/**
 * A light client: header from the chain, the quorum's signature checked against the committee's keys, commitments against the header, then
 * random columns, drawn by secret randomness from those attested, from their holders, every cell verified here. It trusts the chain and no
 * server.
 */
export function createLightClient(options: createLightClient.Options): LightClient {
  const { chain, verifier = cellVerifier, samples = DEFAULT_SAMPLES, transport, columnTimeoutMs } = options
  if (!Number.isInteger(samples) || samples < 1 || samples > COLUMNS)
    throw new ZerogError('BAD_REQUEST', `a light client takes 1 to ${COLUMNS} samples`)
  const chance = foolChance({ population: COLUMNS, samples, misses: 0 })

  async function sample(blobId: string, { signal }: { signal?: AbortSignal } = {}): Promise<Verdict> {
    const limits = signal === undefined ? {} : { signal }
    let found: FoundBlob
    try {
      found = await findBlob(chain, blobId, limits)
    } catch (error) {
      if (isZerogError(error) && error.code === 'DA_INVALID_BLOB')
        return { verdict: 'INVALID', blobId, reason: 'header', error }
      throw error
    }
    const { header, committee, record } = found
    const confirmation = await readConfirmation(chain, { blobId: found.blobId, record }, limits)
    const quorum = verifyQuorum(chain, { blobId: found.blobId, committee, confirmation })
    const hasher = await loadHasher()
    const peers = await connectDaPeers(chain, {
      header,
      committee,
      hasher,
      transport,
      timeoutMs: columnTimeoutMs,
      signal,
    })
    const told = { blobId: found.blobId, header, quorum: quorum.level }
    try {
      const taken = await takeSamples({ peers, verifier, quorum, chance, signal })
      const result = { ...told, samples: taken.samples, faults: peers.faults() }
      if (taken.foolChance === undefined) return { ...result, verdict: 'UNAVAILABLE' }
      return {
        ...result,
        verdict: 'AVAILABLE',
        confidence: 1 - taken.foolChance,
        foolChance: taken.foolChance,
      }
    } catch (error) {
      if (signal?.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
      if (isZerogError(error) && error.code === 'DA_INVALID_BLOB')
        return { verdict: 'INVALID', blobId: found.blobId, reason: 'cell', error }
      if (found.isOver && errorCode(error) === 'DA_TOO_FEW_COLUMNS')
        throw new ZerogError('DA_EXPIRED', undefined, { cause: error, meta: { blobId } })
      // Nobody serves even the commitments.
      if (errorCode(error) === 'DA_TOO_FEW_COLUMNS')
        return { ...told, verdict: 'UNAVAILABLE', samples: [], faults: peers.faults() }
      throw error
    }
  }

  return { sample }
}

export declare namespace createLightClient {
  type Options = {
    chain: DaChain
    /** What checks cells; plain TypeScript by default. `loadNodeKzg()` is faster. */
    verifier?: CellVerifier
    /** Columns to sample of 128 attested ones, 16 by default; more are taken when fewer are attested, or some cannot be had. */
    samples?: number
    /** What carries requests; `fetch` by default. */
    transport?: HttpTransport | undefined
    /** Time-out of one column; 30 s by default. */
    columnTimeoutMs?: number | undefined
  }
}

type Sampling = {
  peers: DaPeers
  verifier: CellVerifier
  quorum: QuorumProof
  chance: number
  signal: AbortSignal | undefined
}

/**
 * Samples until the chance to be fooled is at most `chance` with the misses there are; undefined when there are too many. To stop early or
 * late is to choose among tests, so the chance that counts is the sum over all tests that could have ended it.
 */
async function takeSamples({ peers, verifier, quorum, chance, signal }: Sampling): Promise<{
  samples: ColumnSample[]
  foolChance: number | undefined
}> {
  const attested = Array.from({ length: COLUMNS }, (_, k) => k).filter(
    (k) => (quorum.columns >> BigInt(k)) & 1n,
  )
  const population = attested.length
  const order = drawRandom(attested)
  const commitments = await peers.commitments(signal)
  const samples: ColumnSample[] = []
  let fooled = 0
  for (let misses = 0; misses <= MAX_MISSES; misses++) {
    const wanted = samplesFor({ population, misses, chance })
    if (wanted === undefined) break
    fooled += foolChance({ population, samples: wanted, misses })
    while (samples.length < wanted) {
      const next = order.slice(samples.length, Math.min(wanted, samples.length + PARALLEL))
      samples.push(...(await sampleAll(next, { peers, verifier, commitments, signal })))
    }
    if (samples.filter(({ isServed }) => !isServed).length <= misses) return { samples, foolChance: fooled }
  }
  return { samples, foolChance: undefined }
}

type SampleContext = Pick<Sampling, 'peers' | 'verifier' | 'signal'> & { commitments: readonly Uint8Array[] }

/**
 * Fetches columns and verifies their cells, all at once. One that fits the header but not its commitments is fraud that everybody can see:
 * DA_INVALID_BLOB.
 */
async function sampleAll(columns: readonly number[], context: SampleContext): Promise<ColumnSample[]> {
  const { verifier, commitments, signal } = context
  const fetched = await Promise.all(columns.map((column) => fetchSample(column, context)))
  const served = fetched.flatMap(({ got }) => got ?? [])
  if (!(await verifier.verifyCells(claimsOf(commitments, served), signal))) {
    for (const column of served)
      if (!(await verifier.verifyCells(claimsOf(commitments, [column]), signal)))
        throw new ZerogError('DA_INVALID_BLOB', 'a published cell does not fit its commitment', {
          meta: { reason: 'cell', column: column.column },
        })
  }
  return fetched.map(({ sample }) => sample)
}

async function fetchSample(
  column: number,
  { peers, signal }: SampleContext,
): Promise<{ sample: ColumnSample; got?: Column }> {
  try {
    const found = await peers.column(column, { others: OTHERS, ...(signal && { signal }) })
    return { sample: { column, isServed: true, operator: found.operator }, got: found.column }
  } catch (error) {
    if (signal?.aborted) throw error
    return { sample: { column, isServed: false, code: errorCode(error) } }
  }
}
