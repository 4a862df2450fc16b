import { availableParallelism } from 'node:os'
import type { DaChain } from '../../../sdk/chain/da-chain.ts'
import type { HttpTransport } from '../../../sdk/client/http.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { createLightClient } from '../../../sdk/client/light-client.ts'
import { type ReadBlobResult, readBlob } from '../../../sdk/client/read-blob.ts'
import { DATA_COLUMNS } from '../../../sdk/protocol/cell-layout.ts'
import { bytesEqual } from '../../../sdk/protocol/hex.ts'
import { MIB, shortNumber } from '../storage/bench-case.ts'
import { type LibraryCosts, SHARE } from './check.ts'
import { type DaCase, PAYLOAD_BYTES, sane } from './da-case.ts'
import { named } from './encode.ts'
import { type Spent, spent } from './spent.ts'

const RUNS = 2

type Blob = { readonly blobId: string; readonly payload: Uint8Array; readonly costs: LibraryCosts }

/** Reads a blob back: from data columns, from parity alone, and samples of it. */
export async function readCases(chain: DaChain, blob: Blob): Promise<DaCase[]> {
  await loadNodeKzg()
  const checkSec = (DATA_COLUMNS / SHARE) * blob.costs.checkShare
  const data = await read(chain, blob, { transport: nodeTransport, isRebuilt: false })
  const parity = await read(chain, blob, { transport: withoutDataColumns, isRebuilt: true })
  const { plain, native } = await sample(chain, blob)
  return [
    readCase('data columns', data, checkSec + blob.costs.commit),
    readCase('parity columns alone', parity, checkSec + blob.costs.recover + blob.costs.commit),
    {
      name: 'light client in plain TypeScript: verdict over the network',
      measured: `${shortNumber(plain.wallSec)} s`,
      reference: `${shortNumber(native.wallSec)} s (native engine)`,
      figure: plain.wallSec / native.wallSec,
      unit: 'x',
      details: { ...named('plain', plain), ...named('native', native) },
    },
  ]
}

async function read(
  chain: DaChain,
  { blobId, payload }: Blob,
  { transport, isRebuilt }: { transport: HttpTransport; isRebuilt: boolean },
): Promise<Spent> {
  const kzg = await loadNodeKzg()
  const runs: Spent[] = []
  for (let run = 0; run < RUNS; run++) {
    let result: ReadBlobResult | undefined
    runs.push(
      await spent(async () => {
        result = await readBlob({ chain, blobId, kzg, transport })
      }),
    )
    sane(result !== undefined && bytesEqual(result.payload, payload), 'what is read back is not the payload')
    sane(result?.isRebuilt === isRebuilt, isRebuilt ? 'data columns were used' : 'parity was used')
  }
  const [best] = runs.toSorted((a, b) => a.wallSec - b.wallSec)
  if (best === undefined) throw new Error('nothing was read')
  return best
}

function readCase(from: string, own: Spent, cpuSec: number): DaCase {
  const floorSec = cpuSec / availableParallelism()
  return {
    name: `read back from ${from}`,
    measured: `${shortNumber(own.wallSec)} s, ${shortNumber(PAYLOAD_BYTES / MIB / own.wallSec)} MiB/s; ${shortNumber(own.cpuSec / cpuSec)} x the processor time`,
    reference: `${shortNumber(floorSec)} s (the library's work alone, every core busy)`,
    figure: own.wallSec / floorSec,
    unit: 'x the floor',
    details: { ...named('own', own), cpuRatio: own.cpuSec / cpuSec },
  }
}

async function sample(chain: DaChain, { blobId }: Blob): Promise<{ plain: Spent; native: Spent }> {
  const verifier = await loadNodeKzg()
  const verdict = (client: ReturnType<typeof createLightClient>) =>
    spent(async () => {
      const { verdict } = await client.sample(blobId)
      sane(verdict === 'AVAILABLE', `the light client says ${verdict}`)
    })
  return {
    plain: await verdict(createLightClient({ chain, transport: nodeTransport })),
    native: await verdict(createLightClient({ chain, transport: nodeTransport, verifier })),
  }
}

/** Answers as nodes do that have lost their data columns. */
const withoutDataColumns: HttpTransport = (url, request) => {
  const column = /\/columns\/(\d+)$/.exec(new URL(url).pathname)?.[1]
  if (column === undefined || Number(column) >= DATA_COLUMNS) return nodeTransport(url, request)
  const body = new TextEncoder().encode(JSON.stringify({ error: { code: 'NOT_FOUND' } }))
  return Promise.resolve({ status: 404, headers: new Headers(), body })
}
