import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { drawsOf } from '../../../agents/da/draws.ts'
import { publishPayload } from '../../../agents/da/publish.ts'
import { readBlobRecord, readDaMoney } from '../../../sdk/chain/da.ts'
import { readDaStrikes } from '../../../sdk/chain/da-prover.ts'
import { at, randomBytes } from '../../support/content.ts'
import { until } from '../../support/until.ts'
import { type DaAgent, type DaWorld, startDaWorld, type WorldNode } from './da-world.ts'

const FAST = { CLAIM_EVERY_BLOCKS: '4', REPAIR_RETRY_BLOCKS: '2', MIN_CLAIM_WEI: '1' }
const NODES = 6

describe('audits of retention', () => {
  let world: DaWorld
  let agents: DaAgent[]
  let blobId: string
  const payload = randomBytes(300_000, 21)

  before(async () => {
    // Dear enough that the pay exceeds what claiming it costs.
    world = await startDaWorld({ nodes: NODES, pricePerBlobPeriodWei: 10n ** 15n })
    agents = await Promise.all(world.nodes.map((node) => node.start(FAST)))
    await world.formCommittee(agents)
    const published = await publishPayload(at(agents, 0).context, payload, {
      retentionPeriods: 30n,
      until: 'final',
      signal: AbortSignal.timeout(60_000),
    })
    blobId = published.blobId
    await until('all have signed', async () => {
      return (await readBlobRecord(world.chain, blobId))?.columns === 2n ** 128n - 1n
    })
    await world.settle(agents)
    await world.manualBlocks()
  })
  after(() => world.stop())

  const folderOf = (node: WorldNode) => join(node.dataDir, 'columns', blobId.slice(2))
  const live = () => agents.filter((agent) => agent !== stopped)
  let stopped: DaAgent | undefined

  const missed = async (fromBlock: number) => {
    const { prover } = world.chain.da
    return prover.queryFilter(prover.filters.Missed(), fromBlock)
  }

  /** Goes on to the next period and lets its round be opened. */
  async function openNext(): Promise<bigint> {
    const period = (await world.period()) + 1n
    const { prover } = world.chain.da
    await world.enterPeriod(period)
    await world.advance('the round is open', async () => (await prover.round(period)).draws > 0n, {
      blocks: 8,
    })
    await world.settle(live())
    return period
  }

  async function open(period: bigint) {
    const { context, head } = at(live(), 0)
    const draws = await drawsOf({ ...context, head: head() }, period)
    const { prover } = world.chain.da
    const resolved = await Promise.all(draws.map(({ draw }) => prover.isResolved(period, draw)))
    return { draws, unresolved: draws.filter((_, i) => !resolved[i]) }
  }

  it('default: someone opens the round, everyone answers, nobody is missed', async () => {
    const from = await world.head()
    const period = await openNext()
    assert.ok((await open(period)).draws.length > 0)
    await world.advance('all draws are answered', async () => (await open(period)).unresolved.length === 0, {
      blocks: 14,
    })
    assert.deepEqual(await missed(from), [])
  })

  it('behavior: rotten columns are answered for from the others, and are whole again on disk', async () => {
    const victim = world.node(1)
    const folder = folderOf(victim)
    const whole = new Map(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))]))
    assert.ok(whole.size > 10)
    for (const [file, bytes] of whole)
      writeFileSync(
        join(folder, file),
        bytes.map((byte) => byte ^ 0xff),
      )
    const isWhole = () => [...whole].every(([file, bytes]) => readFileSync(join(folder, file)).equals(bytes))
    assert.equal(isWhole(), false)
    const from = await world.head()
    let fell = 0
    // Draws are random: a few periods, until one has fallen on the victim.
    for (let tries = 0; tries < 5 && fell === 0; tries++) {
      const period = await openNext()
      const { draws } = await open(period)
      const theirs = draws.filter(({ attester }) => attester === victim.wallet.address.toLowerCase())
      fell += theirs.length
      // The first draw that is read finds the rot, and all of it is mended before blocks go on.
      if (theirs.length > 0) await until('the columns are whole again', isWhole, 90_000)
      await world.advance(
        'all draws are answered',
        async () => (await open(period)).unresolved.length === 0,
        { blocks: 14 },
      )
    }
    assert.ok(fell > 0)
    assert.deepEqual(await missed(from), [])
    assert.ok(isWhole())
  })

  it('behavior: a node that lost its disk rebuilds all of it from the chain and the others', async () => {
    const victim = world.node(2)
    await world.stopAgent(agents[2])
    const before = readdirSync(folderOf(victim)).sort()
    rmSync(victim.dataDir, { recursive: true, force: true })
    agents[2] = await victim.start(FAST)
    await world.advance('its columns are back', () => {
      const { context } = at(agents, 2)
      return context.columns.records(blobId).length === before.length
    })
    assert.deepEqual(readdirSync(folderOf(victim)).sort(), before)
  })

  it('behavior: a node that is away misses, is reported and slashed; the honest are not', async () => {
    const victim = world.node(3)
    const { staking } = world.chain.contracts
    const { DaCommittee } = world.chain.da.addresses
    const backing = () =>
      Promise.all(world.nodes.map(({ wallet }) => staking.backing(wallet.address, DaCommittee)))
    stopped = agents[3]
    await world.stopAgent(stopped)
    // In a fresh period whatever was missed before has been reported.
    let period = await openNext()
    const before = await backing()
    const from = await world.head()
    for (let tries = 0; tries < 6 && (await missed(from)).length === 0; tries++) {
      const { draws } = await open(period)
      const theirs = draws.filter(({ attester }) => attester === victim.wallet.address.toLowerCase())
      await world.advance(
        'the others have answered',
        async () => (await open(period)).unresolved.length === theirs.length,
        { blocks: 12 },
      )
      await world.enterPeriod(period, 16n)
      if (theirs.length > 0)
        await world.advance(
          'the misses are reported',
          async () => (await missed(from)).length >= theirs.length,
          { blocks: 7 },
        )
      else period = await openNext()
    }
    const misses = await missed(from)
    assert.ok(misses.length > 0)
    assert.ok(misses.every(({ args }) => args.provider === victim.wallet.address))
    assert.ok((await readDaStrikes(world.chain, victim.wallet.address)) > 0)
    const after = await backing()
    for (let i = 0; i < NODES; i++) {
      if (i === 3) assert.ok(at(after, i) < at(before, i))
      else assert.equal(at(after, i), at(before, i))
    }
    agents[3] = await victim.start(FAST)
    stopped = undefined
  })

  it('behavior: the columns of a member that is out are rebuilt by their successors', async () => {
    const gone = world.node(3).wallet.address
    const { committee, addresses } = world.chain.da
    const { staking } = world.chain.contracts
    stopped = agents[3]
    await world.stopAgent(stopped)
    // All its stake is taken, as many misses would.
    const wei = await staking.backing(gone, addresses.DaCommittee)
    await world.anvil.rpc('anvil_impersonateAccount', addresses.DaProver)
    await world.anvil.rpc('anvil_setBalance', addresses.DaProver, '0xde0b6b3a7640000')
    const data = committee.interface.encodeFunctionData('slash', [
      gone,
      wei,
      `0x${'01'.repeat(32)}`,
      `0x${'00'.repeat(20)}`,
      0,
    ])
    await world.anvil.rpc('eth_sendTransaction', {
      from: addresses.DaProver,
      to: addresses.DaCommittee,
      data,
      gas: '0x7a1200',
    })
    await world.advance('it is out', () => committee.isOut(gone))
    const before = await committee.activeEpoch()
    await world.advance(
      'a committee without it stands',
      async () => (await committee.activeEpoch()) > before,
      {
        blocks: 60,
        blockMs: 100,
      },
    )
    const then = await at(agents, 0).context.committees.at(
      (await readBlobRecord(world.chain, blobId))?.epoch ?? 0n,
    )
    const orphans = then.holders.flatMap(({ operator }, column) => (operator === gone ? [column] : []))
    assert.ok(orphans.length > 0)
    // Few blocks, so that the successors stay the same while they rebuild.
    await world.advance(
      'every orphan has a successor that keeps it',
      async () => {
        const now = await at(agents, 0).context.committees.active()
        return orphans.every((column) => {
          const successor = live().find(({ context }) => context.self === now?.holders[column]?.operator)
          return successor?.context.columns.has(blobId, column)
        })
      },
      { blocks: 12, blockMs: 15_000 },
    )
    // Draws that fall on them are answered by the successors.
    const from = await world.head()
    const period = await openNext()
    await world.advance('all draws are answered', async () => (await open(period)).unresolved.length === 0, {
      blocks: 14,
    })
    assert.deepEqual(await missed(from), [])
  })

  it('behavior: once it has expired and disputes are over the blob is gone: 410, no files, members are paid', async () => {
    const record = await readBlobRecord(world.chain, blobId)
    assert.ok(record)
    const goneAt = record.expiresAt + world.chain.daTerms.disputePeriods
    const url = `${world.node(0).url}/da/blobs/${blobId}`
    assert.equal((await fetch(`${url}/commitments`)).status, 200)
    await world.enterPeriod(goneAt)
    for (const path of ['commitments', 'columns/0', 'payload']) {
      const response = await until(`${path} is gone`, async () => {
        const answer = await fetch(`${url}/${path}`)
        return answer.status === 410 ? answer : undefined
      })
      assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'DA_EXPIRED')
    }
    await world.advance('the files are deleted', () =>
      live().every(({ context }) => context.columns.blob(blobId) === undefined),
    )
    const self = at(agents, 1).context.self
    const { availability } = world.chain.da
    await world.advance('the fee is shared out', async () => (await availability.blobOf(blobId)).claimed)
    await world.advance('the pay is withdrawn', async () => {
      const paid = await availability.queryFilter(availability.filters.Withdrawn(self))
      return paid.length > 0 && (await readDaMoney(world.chain, self)).creditWei === 0n
    })
  })
})
