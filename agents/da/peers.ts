import type { DaChain } from '../../sdk/chain/da-chain.ts'
import { readDaEndpoints } from '../../sdk/chain/da-committee.ts'
import { answerJson, httpRequest } from '../../sdk/client/http.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { COMMITMENT_BYTES } from '../../sdk/protocol/cell-layout.ts'
import { type Column, columnFileBytes, decodeColumn } from '../../sdk/protocol/column.ts'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { fromHex } from '../../sdk/protocol/hex.ts'
import { SIGNATURE_BYTES } from './bls-points.ts'

const ENDPOINT_TTL_MS = 60_000
const MAX_ANSWER_BYTES = 16 * 1024

/** One request to another node. */
type Request = { readonly operator: string; readonly blobId: string; readonly signal: AbortSignal }

/**
 * Other nodes, under the endpoints of the registry. What they send is well-formed, and not verified: `checkColumns`,
 * `checkCommitments` and `isSignedBy` do that. Errors: PEER_UNREACHABLE, PEER_MISBEHAVED, TIMEOUT, ABORTED, and what the
 * node's answer names.
 */
export type Peers = {
  column(request: Request & { column: number; blobCount: number }): Promise<Column>
  commitments(request: Request & { blobCount: number }): Promise<Uint8Array[]>
  /** Offers a blob for attestation; returns the signature, 96 bytes. */
  offer(request: Request & { body: Uint8Array }): Promise<Uint8Array>
}

/** Creates the door to the other nodes; endpoints are asked for once a minute, or when one does not answer. */
export function createPeers({ chain, timeoutMs }: { chain: DaChain; timeoutMs: number }): Peers {
  const endpoints = new Map<string, { url: Promise<string>; until: number }>()

  function endpoint(operator: string): Promise<string> {
    const known = endpoints.get(operator)
    if (known && known.until > Date.now()) return known.url
    const url = readEndpoint(operator)
    url.catch(() => endpoints.delete(operator))
    endpoints.set(operator, { url, until: Date.now() + ENDPOINT_TTL_MS })
    return url
  }

  async function readEndpoint(operator: string): Promise<string> {
    const url = (await readDaEndpoints(chain, [operator], { timeoutMs })).get(operator)
    if (url !== undefined && /^https?:\/\//.test(url)) return url.replace(/\/+$/, '')
    throw new ZerogError('PEER_UNREACHABLE', `${operator} has no endpoint for data availability`, {
      meta: { operator },
    })
  }

  async function ask(
    { operator, blobId, signal }: Request,
    path: string,
    request: { maxBytes: number; method?: 'PUT'; body?: Uint8Array },
  ) {
    const url = `${await endpoint(operator)}/da/blobs/${blobId}/${path}`
    try {
      const headers = { 'content-type': 'application/octet-stream' }
      return { url, ...(await httpRequest(url, { headers, timeoutMs, signal, ...request }, nodeTransport)) }
    } catch (error) {
      if (signal.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
      if (isZerogError(error) && error.meta.status === undefined && errorCode(error) !== 'PEER_MISBEHAVED')
        endpoints.delete(operator)
      throw error
    }
  }

  return {
    async column({ column, blobCount, ...request }) {
      const answer = await ask(request, `columns/${column}`, { maxBytes: columnFileBytes(blobCount) })
      const decoded = decodeColumn(answer.body)
      if (decoded.column === column && decoded.cells.length === blobCount) return decoded
      throw misbehaved(request, 'sent another column')
    },

    async commitments({ blobCount, ...request }) {
      const length = blobCount * COMMITMENT_BYTES
      const { body } = await ask(request, 'commitments', { maxBytes: length })
      if (body.length !== length) throw misbehaved(request, 'sent too few commitments')
      return Array.from({ length: blobCount }, (_, b) =>
        body.slice(b * COMMITMENT_BYTES, (b + 1) * COMMITMENT_BYTES),
      )
    },

    async offer({ body, ...request }) {
      const answer = await ask(request, 'columns', { method: 'PUT', body, maxBytes: MAX_ANSWER_BYTES })
      const json = answerJson(answer.url, answer)
      const signature =
        typeof json === 'object' && json !== null && 'signature' in json ? json.signature : undefined
      if (typeof signature === 'string' && /^0x[0-9a-f]{192}$/.test(signature))
        return fromHex(signature, SIGNATURE_BYTES)
      throw misbehaved(request, 'sent no signature')
    },
  }
}

function misbehaved({ operator, blobId }: Request, what: string): ZerogError {
  return new ZerogError('PEER_MISBEHAVED', `${operator} ${what}`, { meta: { operator, blobId } })
}
