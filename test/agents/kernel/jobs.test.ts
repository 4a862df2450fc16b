import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { Queue } from 'bullmq'
import type { AnyDuty, KernelContext } from '../../../agents/kernel/duty.ts'
import { createJobBoard } from '../../../agents/kernel/job-board.ts'
import { createJobs, decodeItem, encodeItem } from '../../../agents/kernel/jobs.ts'
import { startLoop } from '../../../agents/kernel/loop.ts'
import { createMetrics } from '../../../agents/kernel/metrics.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { manualHeads } from '../../support/manual-heads.ts'
import { startRedis } from '../../support/redis.ts'
import { until } from '../../support/until.ts'
import { silent } from './kernel-fixture.ts'

type Item = { id: string; amountWei: bigint; deadline?: number }
type Context = Pick<KernelContext, 'head' | 'log'>

describe('createJobs', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  let operators = 0
  const cleanUp = new Set<() => Promise<void>>()

  before(async () => {
    redis = await startRedis()
  })
  after(() => redis.stop())
  afterEach(async () => {
    for (const stop of cleanUp) await stop()
    cleanUp.clear()
  })

  /** The queue and the loop of an agent with these duties; a new operator each time keeps the queues apart. */
  const start = async (duties: readonly Partial<AnyDuty>[], options: { operator?: string } = {}) => {
    const heads = manualHeads()
    const metrics = createMetrics('test')
    // The duties of these tests use no more of the context than this.
    const contextAt = (head: Context['head'], log: Context['log']) => ({ head, log }) as KernelContext
    const full = duties.map((duty, index) => ({
      name: `duty${index}`,
      id: (item: Item) => item.id,
      due: async () => [],
      perform: async () => undefined,
      ...duty,
    })) as AnyDuty[]
    const board = createJobBoard({ contextAt, heads, log: silent, metrics })
    const jobs = await createJobs({
      queue: 'test',
      chainId: 31337n,
      operator: options.operator ?? `0x${++operators}`,
      connection: { host: '127.0.0.1', port: redis.port },
      duties: full,
      board,
      concurrency: 4,
      log: silent,
    })
    const loop = startLoop({ duties: full, contextAt, jobs, heads, log: silent, metrics })
    const stop = async () => {
      cleanUp.delete(stop)
      await loop.stop()
      await jobs.close(2000)
    }
    cleanUp.add(stop)
    const outcomes = async () => {
      const { values } = await metrics.jobs.get()
      return Object.fromEntries(
        values.map(({ labels, value }) => [`${labels.duty} ${labels.outcome}`, value]),
      )
    }
    return { heads, jobs, loop, board, outcomes, stop }
  }

  /** Starts a process of the operator, and waits until it has performed an item that is due until then. */
  const performOne = async (id: string, operator: string) => {
    let performed = false
    const perform = async () => {
      performed = true
    }
    await start([{ due: async () => (performed ? [] : [{ id }]), perform }], { operator })
    await until('it is performed', () => performed)
  }

  it('default: performs what is due, once, with bigints intact', async () => {
    const performed: Item[] = []
    const items = [{ id: 'a', amountWei: 2n ** 200n }]
    const { heads, outcomes } = await start([
      {
        due: async () => (performed.length > 0 ? [] : items),
        perform: async (item) => void performed.push(item),
      },
    ])
    await until('it is performed', () => performed.length === 1)
    heads.advance()
    assert.deepEqual(performed, items)
    assert.equal((await outcomes())['duty0 performed'], 1)
  })

  it('behavior: one item is never performed twice at once, however often it is due', async () => {
    let running = 0
    let most = 0
    let starts = 0
    const gate = Promise.withResolvers<void>()
    const { heads } = await start([
      {
        due: async () => (starts < 2 ? [{ id: 'only' }] : []),
        perform: async () => {
          starts++
          most = Math.max(most, ++running)
          await gate.promise
          running--
        },
      },
    ])
    await until('it runs', () => running === 1)
    for (let i = 0; i < 5; i++) heads.advance()
    gate.resolve()
    await until('it is due again after its end', () => {
      heads.advance()
      return starts === 2
    })
    assert.equal(most, 1)
  })

  it('behavior: a retryable error is tried again', async () => {
    let attempts = 0
    const { outcomes } = await start([
      {
        due: async () => (attempts === 0 ? [{ id: 'flaky' }] : []),
        perform: async () => {
          if (++attempts < 3) throw new ZerogError('PEER_UNREACHABLE')
        },
      },
    ])
    await until('it succeeds', async () => (await outcomes())['duty0 performed'] === 1)
    assert.equal(attempts, 3)
    assert.equal((await outcomes())['duty0 retried'], 2)
  })

  it('error: a final error is not tried again at the next heads', async () => {
    let attempts = 0
    const { heads, loop, outcomes } = await start([
      {
        due: async () => [{ id: 'hopeless' }],
        perform: async () => {
          attempts++
          throw new ZerogError('PROOF_INVALID')
        },
      },
    ])
    await until('it has failed', async () => (await outcomes())['duty0 failed'] === 1)
    heads.advance(3)
    await until('the loop has read the head', () => loop.states()[0]?.readAt === heads.current().number)
    assert.equal(attempts, 1)
    heads.advance(1)
    await until('state may have changed: it is tried once more', () => attempts === 2)
  })

  it('behavior: an error that means "already done" counts as done', async () => {
    const { outcomes } = await start([
      {
        alreadyDone: ['ALREADY_SEALED'],
        due: async () => [{ id: 'sealed' }],
        perform: async () => {
          throw new ZerogError('ALREADY_SEALED')
        },
      },
    ])
    await until('it is done', async () => (await outcomes())['duty0 already_done'] === 1)
    assert.equal((await outcomes())['duty0 failed'], undefined)
  })

  it('behavior: retries end at the deadline', async () => {
    let attempts = 0
    const { heads, outcomes } = await start([
      {
        due: async () => [{ id: 'closing', deadline: 105 }],
        deadline: (item) => item.deadline,
        perform: async () => {
          attempts++
          throw new ZerogError('PEER_UNREACHABLE')
        },
      },
    ])
    await until('it has been tried', () => attempts > 0)
    heads.advance(6)
    await until('it has expired', async () => ((await outcomes())['duty0 expired'] ?? 0) >= 1)
    const before = attempts
    heads.advance(10)
    await until('the late item is refused again', async () => ((await outcomes())['duty0 expired'] ?? 0) >= 2)
    assert.equal(attempts, before)
  })

  it('behavior: a local duty needs no Redis and keeps its item as it is', async () => {
    const item = { id: 'local', callback: () => 42 }
    let seen: unknown
    await start([
      {
        local: true,
        due: async () => (seen === undefined ? [item] : []),
        perform: async (given) => {
          seen = given
        },
      },
    ])
    await until('it is performed', () => seen === item)
  })

  it('behavior: jobs go on after Redis died and came back empty', async () => {
    const done = new Set<string>()
    let wanted = 3
    const items = () =>
      Array.from({ length: wanted }, (_, i) => ({ id: `item-${i}` })).filter(({ id }) => !done.has(id))
    const { heads, jobs } = await start([
      { due: async () => items(), perform: async (item) => void done.add(item.id) },
    ])
    await until('the first are done', () => done.size === 3)
    const { port } = redis
    redis.kill()
    await redis.exited
    wanted = 6
    heads.advance()
    await assert.rejects(jobs.counts())
    redis = await startRedis({ port })
    await until('the others are done', () => {
      heads.advance()
      return done.size === 6
    })
  })

  it('behavior: a job whose process died is taken over', async () => {
    const operator = `0x${++operators}`
    const never = await start(
      [{ due: async () => [{ id: 'orphan' }], perform: () => new Promise(() => undefined) }],
      { operator },
    )
    await until('it runs', () => never.board.runningCount() === 1)
    await never.loop.stop()
    // What a kill leaves in Redis: a locked job and no worker.
    await never.jobs.close(1)
    await performOne('orphan', operator)
  })

  it('behavior: a queue that a process left paused when it died is worked on again', async () => {
    const operator = `0x${++operators}`
    const connection = { host: '127.0.0.1', port: redis.port }
    const left = new Queue('test', { connection, prefix: `zerog-31337-${operator}`, skipVersionCheck: true })
    // Another process is about, so that the queue is not emptied, which would also unpause it.
    const other = await start([], { operator })
    await left.pause()
    await left.close()
    await performOne('paused', operator)
    await other.stop()
  })

  it('behavior: a duty whose due throws is read again and does not stop others', async () => {
    let broken = true
    let other = 0
    let mended = 0
    const { heads, loop } = await start(
      [
        {
          due: async () => {
            if (broken) throw new ZerogError('RPC_UNREACHABLE')
            return mended === 0 ? [{ id: 'mended' }] : []
          },
          perform: async () => void mended++,
        },
        { due: async () => [{ id: `at-${heads.current().number}` }], perform: async () => void other++ },
      ].map((duty) => ({ ...duty, local: true })) as Partial<AnyDuty>[],
    )
    await until('the other one works', () => other > 0)
    assert.equal(loop.states()[0]?.code, 'RPC_UNREACHABLE')
    broken = false
    await until('it recovers without a new head', () => mended === 1)
  })

  it('behavior: everyBlocks spares readings, and an event brings one at once', async () => {
    let reads = 0
    const { heads, loop } = await start([
      {
        everyBlocks: 10,
        wakeOn: ['Rung'],
        due: async () => {
          reads++
          return []
        },
      },
      { local: true, due: async () => [] },
    ])
    await until('the first reading', () => reads === 1)
    for (let i = 0; i < 9; i++) heads.advance()
    await until('the other duty has read block 109', () => loop.states()[1]?.readAt === 109)
    assert.equal(reads, 1)
    heads.advance()
    await until('the tenth block', () => reads === 2)
    loop.wake(new Set(['Other']))
    loop.wake(new Set(['Rung']))
    await until('the event', () => reads === 3)
  })

  it('error: an id that BullMQ could not keep is refused', async () => {
    const { loop } = await start([{ due: async () => [{ id: '7' }] }, { due: async () => [{ id: 'a:b' }] }])
    await until('both are refused', () => loop.states().every((state) => state.code === 'INTERNAL'))
  })
})

describe('encodeItem', () => {
  it('default: is read back as it was', () => {
    const item = { a: 1n, b: [{ c: -(2n ** 255n) }], d: 'x', e: null, f: true, g: 1.5 }
    assert.deepEqual(decodeItem(encodeItem(item)), item)
  })
})
