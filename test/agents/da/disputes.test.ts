import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { readBlobRecord } from '../../../sdk/chain/da.ts'
import { g1Decompress, g1YOf, hasPoint, isInG1Subgroup } from '../../../sdk/protocol/bls.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type DaAgent, type DaWorld, startDaWorld } from './da-world.ts'
import { type Crafted, craft, type Draft, offerTo, pay } from './rogue-disperser.ts'

const HONEST = 4

/** The first compressed G1 encoding, by its x, that is as wanted. */
function firstEncoding(what: string, isWanted: (encoding: Uint8Array) => boolean): Uint8Array {
  for (let x = 1; x < 1000; x++) {
    const encoding = new Uint8Array(48)
    encoding.set([0x80], 0)
    encoding.set([x >> 8, x & 0xff], 46)
    if (isWanted(encoding)) return encoding
  }
  throw new Error(`no ${what}`)
}

const noPoint = () => firstEncoding('x without a point', (encoding) => !hasPoint(encoding))

const pointOutsideSubgroup = () =>
  firstEncoding('point outside of the subgroup', (encoding) => {
    return hasPoint(encoding) && !isInG1Subgroup(g1Decompress(encoding, g1YOf(encoding)))
  })

describe('a malicious disperser', () => {
  let world: DaWorld
  let agents: DaAgent[]
  const payload = randomBytes(1000, 9)

  before(async () => {
    // Operators 4.. disperse by hand, each once: a conviction takes the bond.
    world = await startDaWorld({ nodes: HONEST + 5 })
    agents = await Promise.all(world.nodes.slice(0, HONEST).map((node) => node.start()))
    await world.formCommittee(agents)
  })
  after(() => world.stop())

  const cases: { what: string; rogue: number; tamper: (draft: Draft, column: number) => void }[] = [
    {
      what: 'a cell that is of no polynomial of the commitment',
      rogue: 0,
      tamper: ({ cells }, column) => {
        const cell = at(at(cells, 0), column)
        cell[40] = at([...cell], 40) ^ 1
      },
    },
    {
      what: 'a cell with an element that is no scalar',
      rogue: 1,
      tamper: ({ cells }, column) => at(at(cells, 0), column).fill(0xff, 64, 96),
    },
    {
      what: 'a proof that is no point',
      rogue: 2,
      tamper: ({ proofs }, column) => at(at(proofs, 0), column).set(noPoint()),
    },
    {
      what: 'a commitment outside of the subgroup',
      rogue: 3,
      tamper: ({ commitments }) => at(commitments, 0).set(pointOutsideSubgroup()),
    },
    {
      what: 'the commitment of another blob',
      rogue: 4,
      tamper: ({ commitments, proofs }) => at(commitments, 0).set(at(at(proofs, 0), 0)),
    },
  ]

  for (const { what, rogue, tamper } of cases) {
    it(`behavior: ${what}: nobody signs it, the disperser loses its bond, no member anything`, async () => {
      const disperser = world.node(HONEST + rogue)
      const victim = world.node(0)
      const { DaCommittee, DataAvailability } = world.chain.da.addresses
      const { staking } = world.chain.contracts
      const before = await Promise.all(
        world.nodes.slice(0, HONEST).map(({ wallet }) => staking.backing(wallet.address, DaCommittee)),
      )
      let column = 0
      const crafted: Crafted = await craft(world, disperser, { nonce: 1n, payload }).then((honest) => {
        const member = honest.committee.members.find(({ operator }) => operator === victim.wallet.address)
        column = at(member?.columns ?? [], 0)
        return craft(world, disperser, { nonce: 1n, payload, tamper: (draft) => tamper(draft, column) })
      })
      await pay(world, disperser, crafted)
      const answer = await offerTo(victim, crafted)
      assert.deepEqual([answer.status, answer.code], [422, 'DA_CELL_INVALID'])
      assert.equal(at(agents, 0).context.columns.blob(crafted.blobId), undefined)
      const { availability } = world.chain.da
      await world.advance('the blob is convicted', async () => {
        return (await readBlobRecord(world.chain, crafted.blobId))?.convictedAtBlock !== undefined
      })
      await world.advance('the disperser is punished', () =>
        availability.isConvicted(disperser.wallet.address),
      )
      assert.equal(await staking.backing(disperser.wallet.address, DataAvailability), 0n)
      const after = await Promise.all(
        world.nodes.slice(0, HONEST).map(({ wallet }) => staking.backing(wallet.address, DaCommittee)),
      )
      assert.deepEqual(after, before)
    })
  }
})
