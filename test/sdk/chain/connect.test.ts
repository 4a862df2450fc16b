import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { JsonRpcProvider } from 'ethers'
import { parseAddressBook } from '../../../sdk/chain/address-book.ts'
import { connectChain } from '../../../sdk/chain/connect.ts'
import { eventsBackwards } from '../../../sdk/chain/logs.ts'
import { eachProvider, readProviderPage } from '../../../sdk/chain/operators.ts'
import {
  readDeal,
  readDealState,
  readLeastStake,
  readProviderStream,
  readSealTerms,
  readSubmission,
  readVault,
} from '../../../sdk/chain/storage.ts'
import type { PreparedFile } from '../../../sdk/client/prepare.ts'
import { sealDeal } from '../../../sdk/client/seal-deal.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { at, randomBytes } from '../../support/content.ts'
import { shardFile } from '../../support/sharded-file.ts'
import { sealFile, submitFile } from '../../support/storage-deal.ts'
import { deployStorage, type StorageSystem } from '../../support/storage-fixture.ts'

describe('connectChain', () => {
  let system: StorageSystem
  before(async () => {
    system = await deployStorage()
  })

  const bookJson = (changes: Record<string, unknown> = {}) => {
    const { beacon, registry, staking, streams, prover, market, flow } = system
    const entry = ({ target }: { target: unknown }) => ({ address: String(target), block: 0 })
    const contracts = {
      Beacon: entry(beacon),
      OperatorRegistry: entry(registry),
      Staking: entry(staking),
      StorageStreams: entry(streams),
      StorageProver: entry(prover),
      StorageMarket: entry(market),
      Flow: entry(flow),
    }
    return { schema: 1, chainId: 31_337, network: 'test', deployedAtBlock: 0, contracts, ...changes }
  }
  const connect = (changes: Record<string, unknown> = {}) =>
    connectChain({ provider: system.ethers.provider, addressBook: parseAddressBook(bookJson(changes)) })

  it('reads the parameters that never change', async () => {
    const { terms, chainId } = await connect()
    const { params } = system
    assert.equal(chainId, 31_337n)
    for (const name of [
      'periodBlocks',
      'sealDeadlineBlocks',
      'potBps',
      'targetDraws',
      'parityBondWei',
    ] as const)
      assert.equal(terms[name], params[name])
  })

  it('error: another chain id, another genesis, no contracts there', async () => {
    const genesis = await system.ethers.provider.getBlock(0)
    await assert.rejects(connect({ chainId: 1 }), { code: 'WRONG_CHAIN', message: /31337, not 1/ })
    await assert.rejects(connect({ genesisHash: `0x${'1'.repeat(64)}` }), { code: 'WRONG_CHAIN' })
    assert.equal((await connect({ genesisHash: genesis?.hash })).chainId, 31_337n)
    const nowhere = { address: `0x${'9'.repeat(40)}`, block: 0 }
    const contracts = { ...bookJson().contracts, Beacon: nowhere }
    await assert.rejects(connect({ contracts }), { code: 'WRONG_CHAIN' })
  })

  it('error: an RPC that does not answer, and an abort', async () => {
    const addressBook = parseAddressBook(bookJson())
    const provider = new JsonRpcProvider('http://127.0.0.1:9', 31_337, { staticNetwork: true })
    await assert.rejects(connectChain({ provider, addressBook }), { code: 'RPC_UNREACHABLE' })
    const signal = AbortSignal.abort()
    await assert.rejects(connectChain({ provider: system.ethers.provider, addressBook, signal }), {
      code: 'ABORTED',
    })
    provider.destroy()
  })

  it('reads submissions, deals, streams and operators as plain data', async () => {
    const chain = await connect()
    const txSeq = await submitFile(system, shardFile(randomBytes(300, 1)))
    assert.equal(await readDealState(chain, txSeq), 'submitted')
    assert.equal(await readDeal(chain, txSeq), undefined)
    assert.equal((await readSubmission(chain, txSeq))?.owner, system.uploader.address)
    assert.equal(await readSubmission(chain, 999n), undefined)
    assert.equal(await readDealState(chain, 999n), 'none')

    const file = shardFile(randomBytes(5_000, 2))
    const storedSectors = BigInt(file.shardRoots.length * file.layout.shardSectors)
    const least = await readLeastStake(chain, { ...(await readSealTerms(chain, txSeq)), storedSectors })
    const deal = await sealFile(system, file)
    assert.equal(await readDealState(chain, deal.txSeq), 'sealed')
    const record = await readDeal(chain, deal.txSeq)
    assert.equal(record?.custodyRoot, deal.custodyRoot)
    assert.deepEqual(structuredClone(record), record)
    const stream = await readProviderStream(chain, at(deal.holders, 0))
    assert((stream.rateNextWei ?? 0n) > 0n && stream.rateNowWei === 0n && !stream.suspended)
    assert(least > 0n && least <= (stream.needWei ?? 0n))
    const vault = await readVault(chain)
    const balanceWei = await system.ethers.provider.getBalance(chain.book.contracts.StorageStreams.address)
    assert.equal(
      Object.values(vault).reduce((sum, wei) => sum + wei),
      balanceWei,
    )
  })

  it('error: a seal blames a custodian for what is a custodian’s fault, and nobody for what is not', async () => {
    const chain = await connect()
    const provider = at(system.providers, 0).address
    const sealAgainst = (account: unknown) => {
      const meta = { error: 'StreamBehind', args: { account } }
      const submit = () => Promise.reject(new ZerogError('TX_REVERTED', undefined, { meta }))
      const { submission, shardRoots } = shardFile(randomBytes(300, 3))
      const prepared = { submission, shardRoots } as unknown as PreparedFile
      const plan = { root: '', shards: [], custodians: [{ provider, shardBitmap: 1n, shards: [0] }] }
      const sender = { address: system.uploader.address, submit }
      return sealDeal({ chain, sender }, { txSeq: 0n, prepared, plan, custodians: [] })
    }
    assert.equal((await sealAgainst(provider)).kind, 'refused')
    await assert.rejects(sealAgainst(system.streams.target), { code: 'TX_REVERTED' })
  })

  it('pages through operators, each once', async () => {
    const chain = await connect()
    const seen: string[] = []
    let offset: bigint | undefined = 0n
    while (offset !== undefined) {
      const page: Awaited<ReturnType<typeof readProviderPage>> = await readProviderPage(chain, {
        offset,
        limit: 4n,
      })
      seen.push(...page.providers.map(({ operator }) => operator))
      offset = page.nextOffset
    }
    assert.deepEqual(
      seen,
      system.providers.map(({ address }) => address),
    )
    const all: string[] = []
    for await (const { operator, backingWei } of eachProvider(chain)) {
      assert(backingWei > 0n)
      all.push(operator)
    }
    assert.deepEqual(all, seen)
  })

  it('finds events newest first over pages of any size', async () => {
    const chain = await connect()
    const toBlock = Number(await system.head())
    const found: bigint[][] = []
    for (const pageBlocks of [1, 3, 10_000]) {
      const own: bigint[] = []
      for await (const { args } of eventsBackwards(chain, {
        name: 'Submit',
        fromBlock: 0,
        toBlock,
        pageBlocks,
      }))
        own.push(args.submissionIndex)
      found.push(own)
    }
    assert(at(found, 0).length >= 2)
    assert.deepEqual(
      at(found, 0),
      at(found, 0).toSorted((a, b) => Number(b - a)),
    )
    assert.deepEqual(found[1], found[0])
    assert.deepEqual(found[2], found[0])
  })
})
