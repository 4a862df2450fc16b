import type { DaChain } from '../chain/da-chain.ts'
import { type Committee, readActiveEpoch, readCommittee, readDaEndpoints } from '../chain/da-committee.ts'
import type { BlobHeader } from '../protocol/blob-header.ts'
import type { Column } from '../protocol/column.ts'
import { type ErrorCode, errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
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
   * A column that fits the header's `cellsRoot`: from its holder, else from who holds it now and `others` more members. Without others,
   * a holder that has been silent or sent wrong bytes is not asked. Throws what the last one did.
   */
  column(
    column: number,
    options: { readonly others: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly column: Column; readonly operator: string }>
  /** What went wrong so far, each fault of a peer once. */
  faults(): PeerFault[]
}

type Peer = { readonly operator: string; readonly client: DaClient; strikes: number }

/** After so many requests in vain, one behind the other, a peer is asked only when others do not suffice. */
const MAX_STRIKES = 3
/** What wrong bytes count: such a peer is asked last of all. Others of its columns may be right. */
const WRONG_STRIKES = 1_000

/** Looks up where the blob's committee, the one in office and the disperser serve. Errors: those of the RPC. */
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
  const limits = options.signal === undefined ? {} : { signal: options.signal }
  // Who holds a column now rebuilds it when its first holder is out.
  const epoch = await readActiveEpoch(chain, limits)
  const present =
    epoch === undefined || epoch === committee.epoch ? committee : await readCommittee(chain, epoch, limits)
  const members = [...committee.members, ...present.members]
  const operators = [...new Set([...members.map(({ operator }) => operator), header.disperser])]
  const endpoints = await readDaEndpoints(chain, operators, limits)
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
      if (peer.strikes < WRONG_STRIKES) peer.strikes = 0
      return result
    } catch (error) {
      if (signal?.aborted) throw error
      const code = errorCode(error)
      if (!must && (code === 'DA_UNKNOWN_BLOB' || code === 'NOT_FOUND')) throw error
      // A quick "no" costs nothing, and the next column may be there.
      if (code === 'PEER_UNREACHABLE' || code === 'TIMEOUT') peer.strikes += 1
      if (isWrong(error)) peer.strikes += WRONG_STRIKES
      blame({ operator: peer.operator, code, column })
      throw error
    }
  }

  const limitsOf = (signal: AbortSignal | undefined) => ({
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  /** All peers in random order, those with the most strikes last. */
  const shuffled = () => drawRandom([...peers.values()]).sort((a, b) => a.strikes - b.strikes)

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
      const successor = peers.get(present.holders[column]?.operator ?? '')
      const rest = shuffled().filter((peer) => peer !== holder && peer !== successor)
      const isHolderFit = holder !== undefined && (others > 0 || holder.strikes < MAX_STRIKES)
      const further = others === 0 ? [] : [...(successor ? [successor] : []), ...rest.slice(0, others)]
      const candidates = new Set([...(isHolderFit ? [holder] : []), ...further])
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

/** Whether a peer sent what it should not, and not just an excuse. */
function isWrong(error: unknown): boolean {
  if (errorCode(error) === 'DA_CELL_INVALID') return true
  return isZerogError(error) && error.code === 'PEER_MISBEHAVED' && !error.retryable
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
