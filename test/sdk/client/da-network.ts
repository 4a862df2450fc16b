import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type BaseWallet, getBytes, JsonRpcProvider } from 'ethers'
import { deployAll } from '../../../deploy/deploy-all.ts'
import type { NetworkParams } from '../../../deploy/deploy-params.ts'
import { devAccount } from '../../../deploy/dev-account.ts'
import { localhost } from '../../../deploy/params/localhost.ts'
import { parseAddressBook } from '../../../sdk/chain/address-book.ts'
import { readHeaderRlp } from '../../../sdk/chain/beacon.ts'
import { type ChainCall, chainCall } from '../../../sdk/chain/chain-call.ts'
import { type Chain, connectChain } from '../../../sdk/chain/connect.ts'
import { readFee } from '../../../sdk/chain/da.ts'
import {
  confirmBlobCall,
  newEpochCall,
  registerMemberCall,
  submitBlobCall,
} from '../../../sdk/chain/da-calls.ts'
import { connectDa, DA_SERVICE, type DaChain, daPlace } from '../../../sdk/chain/da-chain.ts'
import { type Committee, readCommittee } from '../../../sdk/chain/da-committee.ts'
import { registerCall } from '../../../sdk/chain/operators.ts'
import { allocateCall, delegateCall, stakeCall } from '../../../sdk/chain/staking.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { blobCountOf, encodePayload } from '../../../sdk/protocol/blob.ts'
import {
  type BlobHeader,
  blobIdOf,
  type SignedHeader,
  signHeader,
} from '../../../sdk/protocol/blob-header.ts'
import { commitmentsRoot } from '../../../sdk/protocol/cell-tree.ts'
import { bucketCeil, periodAt, periodStart } from '../../../sdk/protocol/clock.ts'
import { type Column, columnsOf, encodeColumn } from '../../../sdk/protocol/column.ts'
import { attestationDigest, daDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { type Anvil, startAnvil } from '../../support/anvil.ts'
import { type BlsKey, blsKey, signDigest, signTogether } from '../../support/bls-keys.ts'
import { at } from '../../support/content.ts'
import { tempDir } from '../../support/temp-dir.ts'

const MEMBER_STAKE_WEI = 10n ** 19n

/** Epochs that outlast a test; blocks come with transactions only. */
const quietNetwork: NetworkParams = {
  ...localhost,
  resolve(measured) {
    const params = localhost.resolve(measured)
    return { ...params, beacon: { ...params.beacon, periodBlocks: 120 } }
  },
}

/** What a payload becomes: all that its header commits to, and what nodes hold. */
export type Encoded = {
  readonly payload: Uint8Array
  readonly commitments: readonly Uint8Array[]
  readonly columns: readonly Column[]
  readonly cellsRoot: Uint8Array
}

/** A blob on chain. */
export type Published = SignedHeader & { readonly blobId: string; readonly encoded: Encoded }

/** What a node answers instead of the truth: a status, other bytes, or silence until the client gives up. */
export type Fault = { status: number; body?: Uint8Array | string } | 'hang' | undefined

export type TestNode = {
  readonly wallet: BaseWallet
  readonly key: BlsKey
  readonly url: string
  /** Columns that it serves: those of its seats. */
  columns: ReadonlySet<number>
  /** Paths that it was asked for. */
  readonly asked: string[]
  /** Decides what goes wrong; nothing by default. */
  fault: (path: string) => Fault
  /** What to answer to a POST; 404 by default. */
  post: (path: string, body: Uint8Array, authorization: string) => Promise<{ status: number; json: unknown }>
  stop(): Promise<void>
}

const hasher = await loadHasher()

/** Payload, commitments and columns by the native engine. */
export async function encode(payload: Uint8Array): Promise<Encoded> {
  const kzg = await loadNodeKzg()
  const blobs = await Promise.all(encodePayload(payload).map((blob) => kzg.encode(blob)))
  const commitments = blobs.map(({ commitment }) => commitment)
  return { payload, commitments, ...columnsOf(hasher, blobs) }
}

/**
 * A real chain with the deployed contracts, a committee formed of `members` equal stakes, and for each member an HTTP server with the columns
 * that it holds of what was published: what a reader talks to, with every fault that a test wants.
 */
export async function startDaNetwork(options: { members?: number } = {}) {
  const anvil = await startAnvil({ args: ['--hardfork', 'prague', '--accounts', '30'] })
  try {
    return await startOn(anvil, options)
  } catch (error) {
    await anvil.stop()
    throw error
  }
}

async function startOn(anvil: Anvil, { members: count = 8 }: { members?: number }) {
  const rpc = new JsonRpcProvider(anvil.rpcUrl, 31_337, {
    staticNetwork: true,
    cacheTimeout: -1,
    pollingInterval: 50,
  })
  const directory = tempDir()
  await deployAll({ provider: rpc, signer: devAccount(1, rpc), network: quietNetwork, directory, pollMs: 20 })
  const { default: bookJson } = await import(join(directory, '31337.json'), { with: { type: 'json' } })
  const connected = await connectChain({
    provider: rpc,
    addressBook: parseAddressBook(bookJson),
    signer: devAccount(3, rpc),
  })
  const chain = await connectDa(connected)
  const files = new Map<string, Uint8Array>()

  async function send(signer: BaseWallet, call: ChainCall): Promise<void> {
    const response = await signer.sendTransaction({ to: call.to, data: call.data, value: call.valueWei })
    await response.wait()
  }

  async function startNode(index: number): Promise<TestNode> {
    const wallet = devAccount(8 + index, rpc)
    const key = blsKey(index)
    const server = createServer((request, response) => {
      answer(node, files, { request, response }).catch((error: unknown) => response.destroy(error as Error))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const node: TestNode = {
      wallet,
      key,
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      columns: new Set(),
      asked: [],
      fault: () => undefined,
      post: async () => ({ status: 404, json: {} }),
      stop: async () => {
        server.closeAllConnections()
        server.close()
        await once(server, 'close')
      },
    }
    const { committee } = chain.da
    const digest = await committee.keyDigest(wallet, key.publicKey)
    await send(wallet, registerCall(chain, ''))
    await send(wallet, delegateCall(chain, { operator: wallet.address, amountWei: MEMBER_STAKE_WEI }))
    await send(
      wallet,
      allocateCall(chain, { amountWei: MEMBER_STAKE_WEI, service: chain.da.addresses.DaCommittee }),
    )
    await send(
      wallet,
      registerMemberCall(chain, {
        publicKey: getBytes(key.publicKey),
        proofOfPossession: getBytes(signDigest(key, digest)),
      }),
    )
    await send(wallet, endpointCall(chain, node.url))
    return node
  }

  const nodes: TestNode[] = []
  for (let index = 0; index < count; index++) nodes.push(await startNode(index))
  const disperser = at(nodes, 0).wallet
  await send(disperser, stakeCall(chain, 3n * chain.daTerms.bondWei))
  await send(
    disperser,
    allocateCall(chain, {
      amountWei: 2n * chain.daTerms.bondWei,
      service: chain.da.addresses.DataAvailability,
    }),
  )
  const nextEpoch = () =>
    formCommittee(chain, { mine: anvil.mine, send: (call) => send(devAccount(1, rpc), call) })
  const committee = await nextEpoch()

  const seat = ({ members }: Committee) => {
    for (const { operator, columns } of members) nodeOf(nodes, operator).columns = new Set(columns)
  }
  seat(committee)

  const network = {
    anvil,
    rpc,
    chain,
    committee,
    nodes,
    disperser,
    bookJson: bookJson as unknown,
    account: (index: number) => devAccount(index, rpc),
    send,
    /** Goes on to the next epoch; from now on nodes have the columns of their new seats only. */
    async moveOn(): Promise<Committee> {
      const next = await nextEpoch()
      seat(next)
      return next
    },
    /** The node that holds a column. */
    holderOf: (column: number) => nodeOf(nodes, at(committee.holders, column).operator),
    /** A signed header for what was encoded; each field open to a test's own version. */
    async sign(encoded: Encoded, changes: Partial<BlobHeader> = {}): Promise<Published> {
      const head = BigInt(await rpc.getBlockNumber())
      const { minRetentionPeriods } = chain.daTerms
      const expiresAt = bucketCeil(chain.terms, periodAt(chain.terms, head) + minRetentionPeriods + 1n)
      const signed = await signHeader(disperser, {
        version: 1,
        ...daPlace(chain),
        disperser: disperser.address,
        epoch: committee.epoch,
        nonce: (await chain.da.availability.blobTotal()) + 1n,
        blobCount: blobCountOf(encoded.payload.length),
        payloadBytes: encoded.payload.length,
        payloadHash: toHex(hasher.keccak256(encoded.payload)),
        commitmentsRoot: toHex(commitmentsRoot(hasher, encoded.commitments)),
        cellsRoot: toHex(encoded.cellsRoot),
        expiresAt,
        ...changes,
      })
      return { ...signed, blobId: blobIdOf(signed.header), encoded }
    },
    /** Gives the nodes all columns of a blob. */
    disperse({ blobId, encoded }: Published): void {
      files.set(`/da/blobs/${blobId}/commitments`, Buffer.concat(encoded.commitments))
      for (const column of encoded.columns)
        files.set(`/da/blobs/${blobId}/columns/${column.column}`, encodeColumn(column))
    },
    /** Puts a header on chain. */
    async submit(published: Published): Promise<void> {
      const { blobCount, expiresAt } = published.header
      const period = periodAt(chain.terms, BigInt(await rpc.getBlockNumber()))
      const feeWei = await readFee(chain, { blobCount, retentionPeriods: expiresAt - period })
      await send(devAccount(3, rpc), submitBlobCall(chain, published, feeWei))
    },
    /** Confirms a blob with the signatures of these nodes. */
    async confirm({ blobId, header }: Published, signing: readonly TestNode[] = nodes): Promise<void> {
      const { chainId, da } = daPlace(chain)
      const digest = attestationDigest(daDomain(chainId, da), { blobId, epoch: header.epoch })
      const slots = committee.members.filter(({ operator }) =>
        signing.some(({ wallet }) => wallet.address === operator),
      )
      const signers = slots.reduce((bits, { slot }) => bits | (1n << BigInt(slot)), 0n)
      const keys = signing.map(({ key }) => key)
      const signature = signTogether(keys, digest)
      await send(
        devAccount(1, rpc),
        confirmBlobCall(chain, { blobId, epoch: header.epoch, signers, signature }),
      )
    },
    /** Encodes, submits, disperses and confirms a payload. */
    async publish(payload: Uint8Array, signing: readonly TestNode[] = nodes): Promise<Published> {
      const published = await network.sign(await encode(payload))
      await network.submit(published)
      network.disperse(published)
      await network.confirm(published, signing)
      return published
    },
    async stop() {
      await Promise.all(nodes.map((node) => node.stop().catch(() => undefined)))
      rpc.destroy()
      await anvil.stop()
    },
  }
  return network
}

export type DaNetwork = Awaited<ReturnType<typeof startDaNetwork>>

/** Answers like a DA node of its member's columns, apart from what the test wants to go wrong. */
async function answer(
  node: TestNode,
  files: ReadonlyMap<string, Uint8Array>,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const path = request.url ?? ''
  response.setHeader('access-control-allow-origin', '*')
  node.asked.push(path)
  const fault = node.fault(path)
  if (fault === 'hang') return
  if (fault !== undefined) {
    response.writeHead(fault.status).end(fault.body ?? '')
    return
  }
  if (request.method === 'POST') {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const { status, json } = await node.post(path, Buffer.concat(parts), request.headers.authorization ?? '')
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    return
  }
  const file = files.get(path)
  if (file === undefined || !isHeldBy(node, path)) {
    response.writeHead(404, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { code: 'DA_UNKNOWN_BLOB' } }))
    return
  }
  response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(file)
}

function isHeldBy({ columns }: TestNode, path: string): boolean {
  const column = /\/columns\/(\d+)$/.exec(path)?.[1]
  return column === undefined || columns.has(Number(column))
}

function nodeOf(nodes: readonly TestNode[], operator: string): TestNode {
  const node = nodes.find(({ wallet }) => wallet.address === operator)
  if (node === undefined) throw new Error(`${operator} is no node of this network`)
  return node
}

function endpointCall({ contracts: { registry } }: Chain, url: string): ChainCall {
  return chainCall(registry, registry.interface.encodeFunctionData('setEndpoint', [DA_SERVICE, url]))
}

/** Mines into the next epoch and forms its committee. */
async function formCommittee(
  chain: DaChain,
  { mine, send }: { mine: (blocks: number) => Promise<void>; send: (call: ChainCall) => Promise<void> },
): Promise<Committee> {
  const { terms, provider } = chain
  const head = BigInt(await provider.getBlockNumber())
  const epoch = periodAt(terms, head) / terms.epochPeriods + 1n
  const first = periodStart(terms, epoch * terms.epochPeriods)
  await mine(Number(first - head) + 1)
  await send(newEpochCall(chain, terms.usesBlockHash ? '0x' : await readHeaderRlp(chain, first)))
  return readCommittee(chain, epoch)
}
