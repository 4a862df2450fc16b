import type { DaChain } from '../chain/da-chain.ts'
import { type Committee, readDaEndpoints } from '../chain/da-committee.ts'
import type { BlobHeader } from '../protocol/blob-header.ts'
import type { Column } from '../protocol/column.ts'
import { type ErrorCode, errorCode, ZerogError } from '../protocol/errors.ts'
import type { Hasher } from '../protocol/hasher.ts'
import { drawRandom } from '../protocol/sampling.ts'
import { createDaClient, type DaClient } from './da-client.ts'
import type { HttpTransport } from './http.ts'

/** Why a peer did not give what it was asked for. */
export type PeerFault = {
  readonly operator: string
  readonly code: ErrorCode | 'NO_ENDPOINT'
  readonly column: number | undefined
}

/** The committee of a blob as its reader sees it. Lives as long as one read. */
export type DaPeers = {
  /** All commitments, from whoever has them first. Throws DA_TOO_FEW_COLUMNS when nobody has; DA_EXPIRED when all say so. */
  commitments(signal?: AbortSignal): Promise<Uint8Array[]>
  /**
   * A column that fits the header's `cellsRoot`: from its holder, else from `others` more members. Throws what the last one did.
   */
  column(
    column: number,
    options: { readonly others: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly column: Column; readonly operator: string }>
  /** What went wrong so far, each fault of a peer once. */
  faults(): PeerFault[]
}

type Peer = { readonly operator: string; readonly client: DaClient; strikes: number }

/** After so many faults in a row a peer is asked only when nobody else is left. */
const MAX_STRIKES = 3
/** A peer that sent bytes which do not fit is not asked again. */
const NEVER_AGAIN = 1_000

/** Looks up where the committee and the disperser serve. Errors: those of the RPC. */
export async function connectDaPeers(
  chain: DaChain,
  options: {
    readonly header: BlobHeader
    readonly committee: Committee
    readonly hasher: Hasher
    readonly transport?: HttpTransport | undefined
    readonly timeoutMs?: number | undefined
    readonly signal?: AbortSignal | undefined
  },
): Promise<DaPeers> {
  const { header, committee, hasher, transport, timeoutMs } = options
  const operators = [...new Set([...committee.members.map(({ operator }) => operator), header.disperser])]
  const endpoints = await readDaEndpoints(
    chain,
    operators,
    options.signal === undefined ? {} : { signal: options.signal },
  )
  const faults = new Map<string, PeerFault>()
  const peers = new Map<string, Peer>()
  for (const operator of operators) {
    const client = clientFor(endpoints.get(operator), { hasher, transport })
    if (client !== undefined) peers.set(operator, { operator, client, strikes: 0 })
    else blame({ operator, code: 'NO_ENDPOINT', column: undefined })
  }

  function blame(fault: PeerFault): void {
    faults.set(`${fault.operator} ${fault.code}`, fault)
  }

  /** Asks one peer and remembers how it went. Who does not hold what it is asked for has done nothing wrong, unless it `must`. */
  async function ask<T>(
    peer: Peer,
    column: number | undefined,
    {
      work,
      must,
      signal,
    }: { work: (client: DaClient) => Promise<T>; must: boolean; signal: AbortSignal | undefined },
  ): Promise<T> {
    try {
      const result = await work(peer.client)
      if (peer.strikes < NEVER_AGAIN) peer.strikes = 0
      return result
    } catch (error) {
      if (signal?.aborted) throw error
      const code = errorCode(error)
      if (!must && (code === 'DA_UNKNOWN_BLOB' || code === 'NOT_FOUND')) throw error
      peer.strikes += code === 'DA_CELL_INVALID' || code === 'PEER_MISBEHAVED' ? NEVER_AGAIN : 1
      blame({ operator: peer.operator, code, column })
      throw error
    }
  }

  const limitsOf = (signal: AbortSignal | undefined) => ({
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  /** All peers in random order, those in trouble last, those that sent wrong bytes not at all. */
  const shuffled = () => {
    const list = [...peers.values()].filter(({ strikes }) => strikes < NEVER_AGAIN)
    return drawRandom(list).sort(
      (a, b) => Number(a.strikes >= MAX_STRIKES) - Number(b.strikes >= MAX_STRIKES),
    )
  }

  return {
    async commitments(signal) {
      const answers: ErrorCode[] = []
      for (const peer of shuffled()) {
        try {
          return await ask(peer, undefined, {
            work: (client) => client.commitments(header, limitsOf(signal)),
            must: false,
            signal,
          })
        } catch (error) {
          if (signal?.aborted) throw error
          answers.push(errorCode(error))
        }
      }
      if (answers.length > 0 && answers.every((code) => code === 'DA_EXPIRED'))
        throw new ZerogError('DA_EXPIRED')
      throw new ZerogError('DA_TOO_FEW_COLUMNS', 'no node gives the commitments of this blob', {
        meta: { have: 0, asked: answers.length },
      })
    },

    async column(column, { others, signal }) {
      const holder = peers.get(committee.holders[column]?.operator ?? '')
      const rest = shuffled().filter((peer) => peer !== holder)
      const isHolderFit = holder !== undefined && holder.strikes < MAX_STRIKES
      const candidates = [...(isHolderFit ? [holder] : []), ...rest.slice(0, others)]
      let failure: unknown = new ZerogError('PEER_UNREACHABLE', 'the holder of this column is out of reach')
      for (const peer of candidates) {
        try {
          const work = (client: DaClient) => client.column(header, column, limitsOf(signal))
          const got = await ask(peer, column, { work, must: peer === holder, signal })
          return { column: got, operator: peer.operator }
        } catch (error) {
          if (signal?.aborted) throw error
          failure = error
        }
      }
      throw failure
    },

    faults: () => [...faults.values()],
  }
}

function clientFor(
  endpoint: string | undefined,
  options: Parameters<typeof createDaClient>[1],
): DaClient | undefined {
  try {
    return endpoint === undefined ? undefined : createDaClient(endpoint, options)
  } catch {
    // Whoever names no usable endpoint serves nobody.
    return undefined
  }
}
