import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Assignment, assignShards, type Keeper } from '../../../sdk/client/assign-shards.ts'
import { findCandidates } from '../../../sdk/client/find-candidates.ts'
import { createCulprits } from '../../../sdk/client/find-culprits.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'

const keepers = (...capacities: number[]): Keeper[] =>
  capacities.map((capacityShards, i) => ({ operator: `p${i}`, capacityShards }))

function countsOf(assignment: Assignment | undefined): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const operator of assignment?.values() ?? []) counts[operator] = (counts[operator] ?? 0) + 1
  return counts
}

describe('assignShards', () => {
  it('takes as few providers as the limit allows, the preferred ones, evenly', () => {
    const assignment = assignShards({ shards: 24, limit: 4, keepers: keepers(9, 9, 9, 9, 9, 9, 9, 9) })
    assert.deepEqual(countsOf(assignment), { p0: 4, p1: 4, p2: 4, p3: 4, p4: 4, p5: 4 })
    const small = assignShards({ shards: 9, limit: 4, keepers: keepers(9, 9, 9, 9) })
    assert.deepEqual(countsOf(small), { p0: 3, p1: 3, p2: 3 })
  })

  it('takes more when some have little room', () => {
    const assignment = assignShards({ shards: 9, limit: 4, keepers: keepers(1, 1, 9, 9, 9) })
    assert.deepEqual(countsOf(assignment), { p0: 1, p1: 1, p2: 4, p3: 3 })
  })

  it('moves only the shards of a provider that has gone, to a spare one first', () => {
    const before = assignShards({ shards: 24, limit: 4, keepers: keepers(9, 9, 9, 9, 9, 9, 9) })
    const left = keepers(9, 9, 9, 9, 9, 9, 9).filter(({ operator }) => operator !== 'p2')
    const current = new Map([...(before ?? [])].filter(([, operator]) => operator !== 'p2'))
    const after = assignShards({ shards: 24, limit: 4, keepers: left, current })
    for (const [index, operator] of before ?? [])
      assert.equal(after?.get(index), operator === 'p2' ? 'p6' : operator)
  })

  it('is undefined when there is too little room under the limit', () => {
    assert.equal(assignShards({ shards: 24, limit: 4, keepers: keepers(9, 9, 9, 9, 9) }), undefined)
    assert.equal(assignShards({ shards: 1, limit: 0, keepers: keepers(9) }), undefined)
    assert.equal(assignShards({ shards: 1, limit: 1, keepers: [] }), undefined)
  })

  it('finds an assignment whenever there is one, and never exceeds limit or room', () => {
    const capacities = fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 12 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 0, max: 32 }),
        capacities,
        fc.array(fc.nat(11), { maxLength: 20 }),
        (shards, limit, rooms, held) => {
          const current = new Map(held.slice(0, shards).map((keeper, index) => [index, `p${keeper}`]))
          const made = assignShards({ shards, limit, keepers: keepers(...rooms), current })
          const room = rooms.reduce((sum, capacity) => sum + Math.min(capacity, limit), 0)
          assert.equal(made !== undefined, room >= shards)
          if (made === undefined) return
          assert.equal(made.size, shards)
          for (const [operator, count] of Object.entries(countsOf(made))) {
            assert(count <= limit && count <= (rooms[Number(operator.slice(1))] ?? 0))
          }
        },
      ),
    )
  })
})

describe('findCandidates', () => {
  const operator = `0x${'a'.repeat(40)}`
  const info = {
    service: 'storage' as const,
    operator,
    chainId: 1n,
    market: '',
    version: '1.0.0',
    freeBytes: 2 ** 30,
    capacityBytes: 2 ** 30,
    minPriceWei: 1n,
    maxShardBytes: 2 ** 30,
    chunkBytes: 2 ** 24,
  }
  const found = (change: { backingWei?: bigint; chunkBytes?: number }, shardBytes = 2 ** 20) => {
    const { backingWei = 100n, chunkBytes = info.chunkBytes } = change
    const answer = { operator, endpoint: 'http://p0', backingWei, latencyMs: 1 }
    const answers = [{ ...answer, info: { ...info, chunkBytes } }]
    const options = { txSeq: 1n, shardBytes, sectorPriceWei: 5n, leastStakeWei: 100n }
    const { candidates, rejections } = findCandidates(answers, options)
    return [...candidates.map(() => 'taken'), ...rejections.map(({ code }) => code)]
  }

  it('takes who has the stake, and passes over who would fail at the seal', () => {
    assert.deepEqual(found({}), ['taken'])
    assert.deepEqual(found({ backingWei: 99n }), ['NO_STAKE'])
  })

  it('passes over who would have the whole file sent in crumbs', () => {
    assert.deepEqual(found({ chunkBytes: 2 ** 16 }), ['taken'])
    assert.deepEqual(found({ chunkBytes: 2 ** 16 - 1 }), ['BODY_TOO_LARGE'])
    assert.deepEqual(found({ chunkBytes: 512 }, 512), ['taken'])
  })
})

describe('createCulprits', () => {
  const blames = (provider?: string) =>
    new ZerogError('PEER_UNREACHABLE', undefined, { meta: { status: 502, ...(provider && { provider }) } })
  const named = (culprits: readonly [string, unknown][]) => culprits.map(([name]) => name)

  it('who fails on its own account goes, whatever others say', () => {
    const failures = new Map<string, unknown>([
      ['a', blames('x')],
      ['b', new ZerogError('STAKE_TOO_LOW', undefined, { meta: { status: 409 } })],
      ['c', new ZerogError('PEER_UNREACHABLE')],
    ])
    assert.deepEqual(named(createCulprits()(failures)), ['b', 'c'])
  })

  it('the one whom several name goes; one that is alone with its word, or names nobody, goes itself', () => {
    const several = new Map([
      ['a', blames('y')],
      ['b', blames('x')],
      ['c', blames('x')],
    ])
    assert.deepEqual(named(createCulprits()(several)), ['x'])
    assert.deepEqual(named(createCulprits()(new Map([['a', blames('x')]]))), ['a'])
    assert.deepEqual(
      named(
        createCulprits()(
          new Map([
            ['a', blames()],
            ['b', blames()],
          ]),
        ),
      ),
      ['a'],
    )
  })

  it('two in league drive out two others at most', () => {
    const culprits = createCulprits()
    const both = (victim: string) =>
      new Map([
        ['a', blames(victim)],
        ['b', blames(victim)],
      ])
    assert.deepEqual(
      ['x', 'y', 'z'].flatMap((victim) => named(culprits(both(victim)))),
      ['x', 'y', 'a', 'b'],
    )
  })
})
