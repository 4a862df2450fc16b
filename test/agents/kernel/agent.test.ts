import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { examineAgent } from '../../../agents/cli/examine-agent.ts'
import { type AgentHandle, type AgentOptions, startAgent } from '../../../agents/kernel/agent.ts'
import { kernelEnv, loadConfig } from '../../../agents/kernel/config.ts'
import type { Duty, KernelContext } from '../../../agents/kernel/duty.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { type Anvil, DEV_KEYS, startAnvil } from '../../support/anvil.ts'
import { freePort } from '../../support/processes.ts'
import { startRedis } from '../../support/redis.ts'
import { startRpcProxy } from '../../support/rpc-proxy.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { deployTally, silent, tallyInterface } from './kernel-fixture.ts'
import { seen, tallyFollower } from './tally-follower.ts'

type Context = KernelContext & { readonly goal: { count: number } }

const codeOf = (code: string) => (error: unknown) => error instanceof ZerogError && error.code === code

describe('startAgent', () => {
  let anvil: Anvil
  let address: string
  const agents = new Set<AgentHandle<Context>>()

  beforeEach(async () => {
    anvil = await startAnvil({ args: ['--block-time', '1', '--mixed-mining'] })
    address = await deployTally(anvil.rpcUrl)
  })
  afterEach(async () => {
    for (const agent of agents) await agent.stop()
    agents.clear()
    await anvil.stop()
  })

  const countAt = async (ctx: KernelContext) =>
    Number(
      await ctx.provider.call({
        to: address,
        data: tallyInterface.encodeFunctionData('count'),
        blockTag: ctx.head.number,
      }),
    )

  /** Brings the tally up to the goal, one number a job, as its chain state says. */
  const countUp: Duty<{ number: number }, Context> = {
    name: 'count-up',
    wakeOn: ['Counted'],
    due: async (ctx) => {
      const count = await countAt(ctx)
      return count < ctx.goal.count ? [{ number: count + 1 }] : []
    },
    id: ({ number }) => `number-${number}`,
    perform: async ({ number }, ctx) => {
      const data = tallyInterface.encodeFunctionData('bumpTo', [number])
      await ctx.sender.submit({ to: address, data, label: `number-${number}`, alreadyDone: () => true })
    },
  }

  const options = (
    env: Record<string, string> = {},
    parts: Partial<AgentOptions<Context>> = {},
  ): AgentOptions<Context> => ({
    name: 'tally',
    config: loadConfig(kernelEnv, {
      RPC_URL: anvil.rpcUrl,
      DATA_DIR: tempDir(),
      PRIVATE_KEY: DEV_KEYS[0],
      CONFIRMATIONS: '0',
      ...env,
    }),
    makeContext: (kernel) => ({ ...kernel, goal: { count: 3 } }),
    addresses: () => ({ tally: address }),
    duties: [countUp],
    followers: (ctx) => [tallyFollower(ctx.store, address)],
    log: silent,
    graceMs: 5000,
    ...parts,
  })

  const start = async (given: AgentOptions<Context>) => {
    const agent = await startAgent(given)
    agents.add(agent)
    return agent
  }

  const total = async () =>
    Number(
      await anvil.rpc(
        'eth_call',
        { to: address, data: tallyInterface.encodeFunctionData('count') },
        'latest',
      ),
    )

  it('default: does what is due by chain state, follows the logs, and says how it stands', async () => {
    const agent = await start(
      options({}, { routes: (server, ctx) => void server.get('/goal', async () => ctx.goal) }),
    )
    await until('the goal is reached', async () => (await total()) === 3)
    await until('the logs are followed', () => seen(agent.context.store).length === 3)
    assert.equal(await anvil.rpc('eth_getTransactionCount', agent.context.self, 'latest'), '0x3')
    const read = async (path: string) => {
      const response = await fetch(`${agent.url}${path}`, { signal: AbortSignal.timeout(10_000) })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    }
    assert.deepEqual((await read('/goal')).body, { count: 3 })
    const ready = await read('/ready')
    assert.equal(ready.status, 200, JSON.stringify(ready.body))
    const { body } = await read('/status')
    assert.equal(body.operator, agent.context.self)
    assert.equal(body.chainId, '31337')
    assert.match(String(body.version), /^\d+\.\d+\.\d+$/)
    const [duty] = body.duties as [{ name: string; last: { outcome: string } }]
    assert.deepEqual([duty.name, duty.last.outcome], ['count-up', 'performed'])
  })

  it('behavior: goes on after a restart with the same data folder', async () => {
    const DATA_DIR = tempDir()
    const first = await start(options({ DATA_DIR }))
    await until('the goal is reached', async () => (await total()) === 3)
    await first.stop()
    await start(options({ DATA_DIR }, { makeContext: (kernel) => ({ ...kernel, goal: { count: 5 } }) }))
    await until('the next goal is reached', async () => (await total()) === 5)
  })

  it('behavior: starts while Redis is away, says so, and works once it is there', async () => {
    const port = await freePort()
    const agent = await start(options({ REDIS_URL: `redis://127.0.0.1:${port}` }))
    const ready = await fetch(`${agent.url}/ready`, { signal: AbortSignal.timeout(10_000) })
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /redis does not answer/)
    const redis = await startRedis({ port })
    await until('the goal is reached', async () => (await total()) === 3)
    await agent.stop()
    await redis.stop()
  })

  it('behavior: says how it stands while the chain RPC hangs, and asks it once for all who ask', async () => {
    const proxy = await startRpcProxy(anvil.rpcUrl)
    const hanging = new Promise<string[]>(() => undefined)
    const agent = await start(options({ RPC_URL: proxy.rpcUrl }, { problems: () => hanging }))
    await until('the goal is reached', async () => (await total()) === 3)
    const asked = () => proxy.calls.filter(({ method }) => method === 'eth_getBalance').length
    const before = asked()
    proxy.tamper(({ method }, answer) =>
      method === 'eth_getBalance' ? new Promise(() => undefined) : answer,
    )
    const answers = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const response = await fetch(`${agent.url}/status`, { signal: AbortSignal.timeout(60_000) })
        return (await response.json()) as { balanceWei: string; problems: string[] }
      }),
    )
    for (const { balanceWei, problems } of answers) {
      assert.equal(balanceWei, 'the chain RPC does not answer')
      assert.deepEqual(problems, ['the chain RPC does not answer'])
    }
    // One that hangs is repeated now and then.
    assert.ok(asked() - before < answers.length, `asked ${asked() - before} times`)
    await agent.stop()
    await proxy.stop()
  })

  it('behavior: writes to its database for many who ask whether it is ready no more often than for one', async (t) => {
    const agent = await start(options())
    const writes = t.mock.method(agent.context.store, 'assertWritable')
    const asks = Array.from({ length: 40 }, () => fetch(`${agent.url}/ready`))
    for (const { status } of await Promise.all(asks)) assert.equal(status, 200)
    assert.ok(writes.mock.callCount() < 20, `${writes.mock.callCount()} writes`)
    writes.mock.mockImplementation(() => {
      throw new Error('disk full')
    })
    await until(
      'it says that it cannot write',
      async () => (await fetch(`${agent.url}/ready`)).status === 503,
    )
  })

  it('behavior: is not ready while it cannot see for long what is due, and says so', async () => {
    let isBlind = true
    const duty: Duty<never, Context> = {
      name: 'look',
      due: async () => {
        if (isBlind) throw new ZerogError('LOG_GAP')
        return []
      },
      id: () => 'never',
      perform: async () => undefined,
    }
    const held = { shards: { complete: 0, partial: 0, damaged: 0 }, usedBytes: 0, capacityBytes: 1 }
    const agent = await start(options({}, { duties: [duty], status: () => held }))
    const ready = async () => {
      const response = await fetch(`${agent.url}/ready`)
      return { status: response.status, text: await response.text() }
    }
    await anvil.mine(110)
    await until('it says so', async () => /look cannot be looked at: LOG_GAP/.test((await ready()).text))
    const finding = (await examineAgent(agent.url, undefined)).find(({ check }) => check === 'duty')
    assert.match(finding?.found ?? '', /^look cannot be looked at \(LOG_GAP\), and never was$/)
    isBlind = false
    await until('it is ready again', async () => (await ready()).status === 200)
  })

  it('behavior: stopping waits for the running job, and starts no other', async () => {
    const entered = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let starts = 0
    let finished = 0
    const slow: Duty<number, Context> = {
      name: 'slow',
      due: async () => [1, 2, 3, 4, 5, 6, 7, 8],
      id: (n) => `slow-${n}`,
      perform: async () => {
        starts++
        entered.resolve()
        await gate.promise
        finished++
      },
    }
    const agent = await start(options({ JOB_CONCURRENCY: '1' }, { duties: [slow] }))
    await entered.promise
    const stopping = agent.stop()
    let stopped = false
    void stopping.then(() => {
      stopped = true
    })
    await until('a block passes', async () => {
      const before = await anvil.rpc('eth_blockNumber')
      return until('it does', async () => (await anvil.rpc('eth_blockNumber')) !== before)
    })
    assert.equal(stopped, false)
    gate.resolve()
    await stopping
    assert.deepEqual([starts, finished], [1, 1])
  })

  it('behavior: a job that does not end in time does not keep the agent', async () => {
    const entered = Promise.withResolvers<AbortSignal>()
    const stuck: Duty<number, Context> = {
      name: 'stuck',
      due: async () => [1],
      id: () => 'stuck',
      perform: async (_, ctx) => {
        entered.resolve(ctx.signal)
        await new Promise(() => undefined)
      },
    }
    const agent = await start(options({}, { duties: [stuck], graceMs: 100 }))
    const signal = await entered.promise
    await agent.stop()
    assert.equal(signal.aborted, true)
  })

  it('error: a data folder in use, another chain, a foreign deployment', async () => {
    const DATA_DIR = tempDir()
    const agent = await start(options({ DATA_DIR }))
    await assert.rejects(start(options({ DATA_DIR })), codeOf('DATA_DIR_IN_USE'))
    await agent.stop()
    await assert.rejects(start(options({ DATA_DIR, CHAIN_ID: '1' })), codeOf('WRONG_CHAIN'))
    const elsewhere = { addresses: () => ({ tally: `0x${'11'.repeat(20)}` }) }
    await assert.rejects(start(options({ DATA_DIR }, elsewhere)), codeOf('WRONG_CHAIN'))
    // Each refusal has let go of the folder.
    await start(options({ DATA_DIR }))
  })

  it('error: a part that fails at the start ends what was started', async () => {
    const DATA_DIR = tempDir()
    const broken = {
      makeContext: () => {
        throw new ZerogError('ADDRESS_BOOK_INVALID')
      },
    }
    await assert.rejects(start(options({ DATA_DIR }, broken)), codeOf('ADDRESS_BOOK_INVALID'))
    await start(options({ DATA_DIR }))
  })
})
