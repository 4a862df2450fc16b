import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Follower, startFollower } from '../../../agents/kernel/follower.ts'
import { type Anvil, startAnvil } from '../../support/anvil.ts'
import { startRpcProxy } from '../../support/rpc-proxy.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { deployTally, startKernel, stopKernels, tallyInterface } from './kernel-fixture.ts'
import { seen, tallyFollower } from './tally-follower.ts'

const FROM = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'

describe('startFollower', () => {
  let anvil: Anvil
  let address: string

  beforeEach(async () => {
    anvil = await startAnvil({ args: ['--slots-in-an-epoch', '1'] })
    address = await deployTally(anvil.rpcUrl)
  })
  afterEach(async () => {
    await stopKernels()
    await anvil.stop()
  })

  const bump = async (times: number) => {
    const data = tallyInterface.encodeFunctionData('bump')
    for (let i = 0; i < times; i++) await anvil.rpc('eth_sendTransaction', { from: FROM, to: address, data })
  }

  /** What the chain itself says now: the truth that the store must equal. */
  const onChain = async () => {
    const filter = { address, fromBlock: '0x0', toBlock: 'latest' }
    const logs = (await anvil.rpc('eth_getLogs', filter)) as { topics: string[]; blockNumber: string }[]
    return logs.map((log) => ({ number: Number(log.topics[1]), block: Number(log.blockNumber), times: 1 }))
  }

  const start = async (rpcUrl = anvil.rpcUrl, options: Partial<Follower> & { dataDir?: string } = {}) => {
    const { dataDir, ...parts } = options
    const kernel = await startKernel({ rpcUrl, ...(dataDir === undefined ? {} : { dataDir }) })
    const events: string[] = []
    const handle = startFollower({
      ...kernel,
      follower: tallyFollower(kernel.store, address, parts),
      confirmations: 0,
      onEvents: (names) => events.push(...names),
      pollMs: 50,
    })
    const { stop } = kernel
    return Object.assign(kernel, {
      handle,
      events,
      stop: async () => {
        await handle.stop()
        await stop()
      },
      caughtUp: () =>
        until('the follower equals the chain', async () => same(seen(kernel.store), await onChain())),
    })
  }

  it('default: applies the logs of old pages and of new blocks', async () => {
    await bump(7)
    const kernel = await start(anvil.rpcUrl, { pageBlocks: 3 })
    await kernel.caughtUp()
    await bump(3)
    await kernel.caughtUp()
    assert.equal(seen(kernel.store).length, 10)
    await kernel.handle.reached(await headOf(anvil), AbortSignal.timeout(10_000))
    assert.equal(kernel.handle.lag(), 0)
    assert.ok(kernel.events.includes('Counted'))
    await kernel.stop()
  })

  it('behavior: stays behind the head by the confirmations', async () => {
    const kernel = await start(anvil.rpcUrl, { confirmations: 2 })
    await bump(5)
    await kernel.handle.reached((await headOf(anvil)) - 2, AbortSignal.timeout(10_000))
    assert.deepEqual(seen(kernel.store), (await onChain()).slice(0, 3))
    await kernel.stop()
  })

  it('behavior: a reorg of five blocks rolls back to the common ancestor', async () => {
    const kernel = await start()
    await bump(8)
    await kernel.caughtUp()
    const before = seen(kernel.store)
    const data = tallyInterface.encodeFunctionData('bump')
    await anvil.rpc('anvil_reorg', 5, [[{ from: FROM, to: address, data }, 2]])
    await kernel.caughtUp()
    assert.equal(seen(kernel.store).length, 4)
    assert.notDeepEqual(seen(kernel.store), before)
    await bump(2)
    await kernel.caughtUp()
    await kernel.stop()
  })

  it('behavior: a reorg to a shorter chain is followed', async () => {
    const kernel = await start()
    const snapshot = await anvil.rpc('evm_snapshot')
    await bump(4)
    await kernel.caughtUp()
    await anvil.rpc('evm_revert', snapshot)
    await until('everything is rolled back', () => seen(kernel.store).length === 0)
    await bump(1)
    await kernel.caughtUp()
    await kernel.stop()
  })

  it('behavior: a reorg while the agent was down is found at the start', async () => {
    const dataDir = tempDir()
    await bump(6)
    const first = await start(anvil.rpcUrl, { dataDir })
    await first.caughtUp()
    await first.stop()
    await anvil.rpc('anvil_reorg', 4, [])
    await bump(3)
    const second = await start(anvil.rpcUrl, { dataDir })
    await second.caughtUp()
    await second.stop()
  })

  it('behavior: logs that the node leaves out are noticed and read again', async () => {
    await bump(3)
    const proxy = await startRpcProxy(anvil.rpcUrl)
    let hidden = 0
    proxy.tamper(({ method }, answer) => {
      if (method !== 'eth_getLogs' || hidden > 0) return answer
      const logs = answer.result as unknown[]
      if (logs.length === 0) return answer
      hidden = logs.length
      return { result: [] }
    })
    const kernel = await start(proxy.rpcUrl, { pageBlocks: 2 })
    await bump(2)
    await kernel.caughtUp()
    assert.ok(hidden > 0)
    await kernel.stop()
    await proxy.stop()
  })

  it('behavior: logs that come twice or out of order are applied once and in order', async () => {
    await bump(5)
    const proxy = await startRpcProxy(anvil.rpcUrl)
    proxy.tamper(({ method }, answer) => {
      if (method !== 'eth_getLogs') return answer
      const logs = answer.result as unknown[]
      return { result: [...logs, ...logs].reverse() }
    })
    const kernel = await start(proxy.rpcUrl)
    await kernel.caughtUp()
    await kernel.stop()
    await proxy.stop()
  })

  it('behavior: pages shrink to what the node is willing to serve', async () => {
    await bump(9)
    const proxy = await startRpcProxy(anvil.rpcUrl)
    proxy.tamper(({ method, params }, answer) => {
      const [range] = params as [{ fromBlock?: string; toBlock?: string }]
      if (method !== 'eth_getLogs' || Number(range.toBlock) - Number(range.fromBlock) < 2) return answer
      return range.fromBlock === undefined ? answer : { error: { code: -32005, message: 'range too large' } }
    })
    const kernel = await start(proxy.rpcUrl)
    await kernel.caughtUp()
    await kernel.stop()
    await proxy.stop()
  })

  it('behavior: a node that lags behind the head undoes nothing', async (t) => {
    await bump(4)
    const proxy = await startRpcProxy(anvil.rpcUrl)
    t.after(proxy.stop)
    const kernel = await startKernel({ rpcUrl: proxy.rpcUrl })
    const base = tallyFollower(kernel.store, address)
    let rollbacks = 0
    const follower: Follower = {
      ...base,
      onRollback: (toBlock, tx) => {
        rollbacks++
        base.onRollback(toBlock, tx)
      },
    }
    const handle = startFollower({ ...kernel, follower, confirmations: 0, pollMs: 50 })
    await until('all is applied', async () => same(seen(kernel.store), await onChain()))
    const limit = await headOf(anvil)
    let answered = 0
    // The node that tells of the head has everything, the one that is asked for blocks has none of them.
    proxy.tamper(({ method, params }, answer) => {
      if (method !== 'eth_getBlockByNumber' || params[0] === 'latest' || answered >= 5) return answer
      answered++
      return { result: null }
    })
    await anvil.mine(3)
    await until('the lagging node was asked', () => answered >= 5)
    await bump(1)
    await handle.reached(limit + 4, AbortSignal.timeout(60_000))
    assert.equal(rollbacks, 0)
    assert.ok(same(seen(kernel.store), await onChain()))
    await handle.stop()
    await kernel.stop()
  })

  it('behavior: a handler that throws changes nothing and is called again', async () => {
    let failures = 0
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    const base = tallyFollower(kernel.store, address)
    const follower: Follower = {
      ...base,
      onLogs: (logs, tx, range) => {
        base.onLogs(logs, tx, range)
        if (logs.length > 0 && failures++ < 2) throw new Error('half done')
      },
    }
    const handle = startFollower({ ...kernel, follower, confirmations: 0, pollMs: 50 })
    await bump(2)
    await until('all is applied', async () => same(seen(kernel.store), await onChain()))
    assert.equal(failures > 2, true)
    await handle.stop()
    await kernel.stop()
  })

  it('behavior: another contract address starts from the beginning', async () => {
    const dataDir = tempDir()
    await bump(2)
    const first = await start(anvil.rpcUrl, { dataDir })
    await first.caughtUp()
    await first.stop()
    address = await deployTally(anvil.rpcUrl)
    await bump(1)
    const second = await start(anvil.rpcUrl, { dataDir })
    await second.caughtUp()
    assert.equal(seen(second.store).length, 1)
    await second.stop()
  })
})

async function headOf(anvil: Anvil): Promise<number> {
  return Number(await anvil.rpc('eth_blockNumber'))
}

function same(a: readonly object[], b: readonly object[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
