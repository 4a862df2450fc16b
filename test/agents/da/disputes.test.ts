import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { deriveBlsKey } from '../../../agents/da/bls-key.ts'
import { readBlobRecord } from '../../../sdk/chain/da.ts'
import { disputeScalarCall } from '../../../sdk/chain/da-court-calls.ts'
import { g1Decompress, g1YOf, hasPoint, isInG1Subgroup } from '../../../sdk/protocol/bls.ts'
import { DATA_COLUMNS } from '../../../sdk/protocol/cell-layout.ts'
import { cellPathOf, encodeColumn } from '../../../sdk/protocol/column.ts'
import { attestationDigest, daDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type DaAgent, type DaWorld, joinByHand, startDaWorld, type WorldNode } from './da-world.ts'
import { type Crafted, confirm, craft, type Draft, offerTo, pay } from './rogue-disperser.ts'

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
    world = await startDaWorld({ nodes: HONEST + 7 })
    agents = await Promise.all(world.nodes.slice(0, HONEST).map((node) => node.start()))
    await joinByHand(world, accomplice().wallet)
    await world.formCommittee(agents)
  })
  after(() => world.stop())

  /** A member that runs no agent and signs whatever it is paid for. */
  const accomplice = () => world.node(HONEST + 5)

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

  it('behavior: who attested a wrong cell is convicted though its disperser had the blob convicted for another', async () => {
    const { chain } = world
    const disperser = world.node(HONEST + 6)
    const { court, availability } = chain.da
    const columnsOf = ({ committee }: Crafted, { wallet }: WorldNode) =>
      committee.members.find(({ operator }) => operator === wallet.address)?.columns ?? []
    const honest = await craft(world, disperser, { nonce: 1n, payload })
    // One column that its holder signs, and one of a node that is never asked: the way out that the accomplice hopes for.
    const signed = at(
      columnsOf(honest, accomplice()).filter((column) => column < DATA_COLUMNS),
      0,
    )
    const unsigned = at(columnsOf(honest, world.node(3)), 0)
    const crafted = await craft(world, disperser, {
      nonce: 1n,
      payload,
      tamper: ({ cells }) => {
        at(at(cells, 0), signed).fill(0xff, 64, 96)
        at(at(cells, 0), unsigned).fill(0xff, 0, 32)
      },
    })
    const { blobId, header, offer } = crafted
    await pay(world, disperser, crafted)
    const domain = daDomain(header.chainId, header.da)
    const digest = fromHex(attestationDigest(domain, { blobId, epoch: header.epoch }))
    const signatures = new Map([
      [accomplice(), toHex(deriveBlsKey(accomplice().wallet.privateKey).sign(digest))],
    ])
    for (const node of world.nodes.slice(0, 3))
      signatures.set(node, (await offerTo(node, crafted)).signature ?? '')
    await confirm(world, disperser, crafted, signatures)
    assert.equal((await availability.blobOf(blobId)).status, 2n)

    const found = at(at(offer.columns, unsigned).cells, 0)
    const path = cellPathOf(await loadHasher(), at(offer.columns, unsigned), 0)
    const leaf = { blobId, blobIndex: 0, column: unsigned, ...found, path }
    await world.send(disperser.wallet, disputeScalarCall(chain, { leaf, element: 0 }))
    assert.notEqual((await availability.blobOf(blobId)).convictedAtBlock, 0n)

    const server = createServer((request, response) => {
      const [, column] = /columns\/(\d+)$/.exec(request.url ?? '') ?? []
      response.end(column === undefined ? '' : encodeColumn(at(offer.columns, Number(column))))
    })
    const { port, hostname } = new URL(accomplice().url)
    await new Promise<void>((resolve) => server.listen(Number(port), hostname, resolve))
    try {
      await world.settle(agents)
      // Reading is what finds it.
      const read = await fetch(`${world.node(0).url}/da/blobs/${blobId}/payload`)
      assert.equal(read.status, 200)
      await world.advance('the accomplice is punished', async () => {
        const { address } = accomplice().wallet
        return (await court.queryFilter(court.filters.Punished(undefined, address))).length > 0
      })
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
    const punished = (await court.queryFilter(court.filters.Punished())).map(({ args }) => args.operator)
    for (const { wallet } of world.nodes.slice(0, HONEST)) assert.ok(!punished.includes(wallet.address))
  })
})
