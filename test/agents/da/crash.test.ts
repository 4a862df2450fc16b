import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { readBlobRecord, readIsFinal } from '../../../sdk/chain/da.ts'
import { daDomain, formatPublish, signPublish } from '../../../sdk/protocol/da-typed-data.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../../support/content.ts'
import type { RunningProcess } from '../../support/processes.ts'
import { until } from '../../support/until.ts'
import { type DaAgent, type DaWorld, startDaWorld, type WorldNode } from './da-world.ts'
import { type Crafted, craft, offerTo, pay } from './rogue-disperser.ts'

const hasher = await loadHasher()
const crashAt = (point: string) => ({ ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: point })
const RETENTION_PERIODS = 6n

/** The agent must have died by SIGKILL, as after a power cut; then it starts again in the same folder. */
async function restartAfterCrash(process: RunningProcess, node: WorldNode): Promise<RunningProcess> {
  const { signal } = await process.exited
  assert.equal(signal, 'SIGKILL', process.output())
  return node.spawn()
}

/** Publishes through the HTTP API as the disperser's own operator. */
async function post(world: DaWorld, node: WorldNode, payload: Uint8Array): Promise<Response> {
  const { chain } = world
  const domain = daDomain(chain.chainId, chain.da.addresses.DataAvailability)
  const { address } = node.wallet
  const until = BigInt(Math.floor(Date.now() / 1000) + 600)
  const message = {
    disperser: address,
    payloadHash: toHex(hasher.keccak256(payload)),
    payloadBytes: payload.length,
    retentionPeriods: RETENTION_PERIODS,
    until,
  }
  const signature = await signPublish(node.wallet, domain, message)
  return fetch(`${node.url}/da/blobs?retentionPeriods=${RETENTION_PERIODS}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/octet-stream',
      authorization: formatPublish({ address, until, signature }),
    },
    body: Buffer.from(payload),
    signal: AbortSignal.timeout(60_000),
  })
}

describe('a DA agent killed at any line', () => {
  let world: DaWorld
  let others: DaAgent[]
  let victim: WorldNode

  before(async () => {
    // Operators 5.. disperse by hand, each once: two headers for a nonce cost the bond.
    world = await startDaWorld({ nodes: 8 })
    const agents = await Promise.all(world.nodes.slice(0, 5).map((node) => node.start()))
    await world.formCommittee(agents)
    victim = world.node(0)
    await world.stopAgent(agents[0])
    others = agents.slice(1)
  })
  after(() => world.stop())

  const ownBlobs = async () => {
    const { availability } = world.chain.da
    return availability.queryFilter(availability.filters.BlobSubmitted(undefined, victim.wallet.address))
  }

  it('behavior: after-encode: nothing was promised, nothing is left; the payload can be published again', async () => {
    const crashing = await victim.spawn(crashAt('after-encode'))
    const payload = randomBytes(5000, 40)
    await assert.rejects(post(world, victim, payload))
    const agent = await restartAfterCrash(crashing, victim)
    const answer = await post(world, victim, payload)
    assert.equal(answer.status, 202)
    const { blobId } = (await answer.json()) as { blobId: string }
    await world.advance('the blob is FINAL', () => readIsFinal(world.chain, blobId))
    await agent.stop()
  })

  for (const [i, point] of [
    'after-header',
    'sender-after-write',
    'sender-after-broadcast',
    'after-pay',
    'after-collect',
    'before-confirm',
    'after-confirm',
  ].entries()) {
    it(`behavior: ${point}: the restarted disperser brings the blob to FINAL, paid once`, async () => {
      const before = (await ownBlobs()).length
      const crashing = await victim.spawn(crashAt(point))
      const payload = randomBytes(5000 + i, 41)
      // The answer may or may not have left before the kill.
      await post(world, victim, payload).catch(() => undefined)
      const agent = await restartAfterCrash(crashing, victim)
      await world.advance('one more blob of it is FINAL', async () => {
        const submitted = await ownBlobs()
        const last = submitted.at(-1)
        return submitted.length === before + 1 && last && (await readIsFinal(world.chain, last.args.blobId))
      })
      const last = at(await ownBlobs(), -1)
      const { payloadHash } = last.args.header
      assert.equal(payloadHash, toHex(hasher.keccak256(payload)))
      await agent.stop()
    })
  }

  for (const [i, point] of ['after-columns', 'after-guard', 'after-attestation'].entries()) {
    it(`behavior: ${point}: the restarted node signs the same blob and no other for its nonce`, async () => {
      const disperser = world.node(5 + i)
      const nonce = 100n
      const honest: Crafted = await craft(world, disperser, { nonce, payload: randomBytes(3000, 50 + i) })
      await pay(world, disperser, honest)
      const crashing = await victim.spawn(crashAt(point))
      await assert.rejects(offerTo(victim, honest))
      const agent = await restartAfterCrash(crashing, victim)
      const first = await offerTo(victim, honest)
      assert.equal(first.status, 200, first.code)
      const second = await offerTo(victim, honest)
      assert.equal(second.signature, first.signature)
      // The epoch may have ended meanwhile; a nonce counts within its own.
      const { epoch } = honest.header
      const rival = await craft(world, disperser, { nonce, epoch, payload: randomBytes(3000, 60 + i) })
      const refused = await offerTo(victim, rival)
      assert.deepEqual([refused.status, refused.code], [409, 'DA_EQUIVOCATION'])
      await agent.stop()
    })
  }

  it('behavior: an honest node that was slow, but inside the window, is not slashed and is added', async () => {
    const { chain } = world
    const { DaCommittee } = chain.da.addresses
    const backing = () => chain.contracts.staking.backing(victim.wallet.address, DaCommittee)
    const [before, from] = [await backing(), await world.head()]
    // The victim is away while another node publishes: the rest brings it as far as it can.
    const disperser = world.node(1)
    const answer = await post(world, disperser, randomBytes(4000, 70))
    const { blobId } = (await answer.json()) as { blobId: string }
    await world.settle(others)
    const agent = await victim.spawn()
    // No blocks are added by hand: they would close the window.
    const isSigned = async () => (await readBlobRecord(chain, blobId))?.columns === 2n ** 128n - 1n
    await until('all columns are signed', isSigned, 120_000)
    assert.equal(await readIsFinal(chain, blobId), true)
    // Audits go on while it is away: for those it may have paid, for its late signature it has not.
    const { prover } = chain.da
    const misses = await prover.queryFilter(prover.filters.Missed(), from)
    const missedWei = misses
      .filter(({ args }) => args.provider === victim.wallet.address)
      .reduce((sum, { args }) => sum + args.slashedWei, 0n)
    assert.ok((await backing()) + missedWei >= before)
    await agent.stop()
  })
})
