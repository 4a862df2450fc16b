import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { deriveBlsKey } from '../../../agents/da/bls-key.ts'
import { aggregatePoint } from '../../../agents/da/bls-points.ts'
import { publishPayload } from '../../../agents/da/publish.ts'
import { readBlobRecord, readConfirmation, readIsFinal } from '../../../sdk/chain/da.ts'
import { confirmBlobCall } from '../../../sdk/chain/da-calls.ts'
import { readCommittee } from '../../../sdk/chain/da-committee.ts'
import { registerCall } from '../../../sdk/chain/operators.ts'
import { allocateCall, delegateCall } from '../../../sdk/chain/staking.ts'
import { attestationDigest, daDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { fromHex } from '../../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../../support/content.ts'
import { until } from '../../support/until.ts'
import { type DaAgent, type DaWorld, joinByHand, startDaWorld } from './da-world.ts'

/** Of seven equal members five bring a blob to SOFT and six to FINAL; the rogue's columns are too few for either. */
const ROGUE_STAKE_WEI = 10n ** 19n
const QUICK = { DA_SOFT_GRACE_MS: '0', DA_BLOBS_IN_FLIGHT: '1' }

describe('collectAndConfirm', () => {
  let world: DaWorld
  let agents: DaAgent[]

  before(async () => {
    world = await startDaWorld({ nodes: 7 })
    agents = await Promise.all(world.nodes.map((node) => node.start(QUICK)))
    await joinRogue()
    await world.formCommittee(agents)
    for (const agent of agents.slice(5)) await world.stopAgent(agent)
  })
  after(() => world.stop())

  const rogue = () => world.account(30)

  /** A member that runs no agent. */
  async function joinRogue(): Promise<void> {
    const { chain } = world
    const service = chain.da.addresses.DaCommittee
    const wallet = rogue()
    await world.send(wallet, registerCall(chain, ''))
    await world.send(wallet, delegateCall(chain, { operator: wallet.address, amountWei: ROGUE_STAKE_WEI }))
    await world.send(wallet, allocateCall(chain, { amountWei: ROGUE_STAKE_WEI, service }))
    await joinByHand(world, wallet)
  }

  /** Puts the rogue's own signature on top of what is confirmed: nobody can leave it out any more. */
  async function confirmBehind(blobId: string): Promise<void> {
    const { chain } = world
    const record = await readBlobRecord(chain, blobId)
    assert.equal(record?.status, 'soft')
    const committee = await readCommittee(chain, record.epoch)
    const slot = committee.members.find(({ operator }) => operator === rogue().address)?.slot
    const last = await readConfirmation(chain, { blobId, record })
    assert.ok(slot !== undefined && last)
    const domain = daDomain(chain.chainId, chain.da.addresses.DataAvailability)
    const own = deriveBlsKey(rogue().privateKey).sign(
      fromHex(attestationDigest(domain, { blobId, epoch: record.epoch })),
    )
    const signers = last.signers | (1n << BigInt(slot))
    const signature = aggregatePoint([own], fromHex(last.signature))
    await world.send(rogue(), confirmBlobCall(chain, { blobId, epoch: record.epoch, signers, signature }))
    assert.equal((await readBlobRecord(chain, blobId))?.status, 'soft')
  }

  it('behavior: blobs that wait for FINAL keep no place from others; they are FINAL once a member is back', async () => {
    const { context } = at(agents, 0)
    const blobIds: string[] = []
    for (let i = 0; i < 3; i++) {
      const signal = AbortSignal.timeout(120_000)
      const options = { retentionPeriods: 5n, until: 'soft' as const, signal }
      blobIds.push((await publishPayload(context, randomBytes(3000, 50 + i), options)).blobId)
    }
    const agent = await world.node(5).start(QUICK)
    for (const blobId of blobIds)
      await until('the blob is FINAL', () => readIsFinal(world.chain, blobId), 60_000)
    await world.stopAgent(agent)
  })

  it('behavior: a member that confirms behind the disperser, with itself added, does not keep a blob from FINAL', async () => {
    const { context } = at(agents, 0)
    const signal = AbortSignal.timeout(120_000)
    const { blobId } = await publishPayload(context, randomBytes(3000, 1), {
      retentionPeriods: 5n,
      until: 'soft',
      signal,
    })
    await confirmBehind(blobId)
    await world.node(5).start(QUICK)
    const record = await until(
      'the blob is FINAL',
      async () => {
        const now = await readBlobRecord(world.chain, blobId)
        return now?.status === 'final' ? now : undefined
      },
      60_000,
    )
    const committee = await readCommittee(world.chain, record.epoch)
    const member = committee.members.find(({ operator }) => operator === rogue().address)
    for (const column of member?.columns ?? []) assert.ok((record.columns >> BigInt(column)) & 1n)
  })
})
