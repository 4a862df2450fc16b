import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { afterEach, describe, it } from 'node:test'
import { trackHead } from '../../../agents/kernel/head.ts'
import { type ChainConnection, connectNode } from '../../../agents/kernel/provider.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { startAnvil } from '../../support/anvil.ts'
import { startHardhatNode } from '../../support/hardhat-node.ts'
import { freePort } from '../../support/processes.ts'
import { until } from '../../support/until.ts'
import { silent } from './kernel-fixture.ts'

const codeOf = (code: string) => (error: unknown) => error instanceof ZerogError && error.code === code

describe('connectNode', () => {
  const connections = new Set<ChainConnection>()
  afterEach(() => {
    for (const connection of connections) connection.close()
    connections.clear()
  })
  const connect = async (options: Partial<connectNode.Options> & { rpcUrl: string }) => {
    const connection = await connectNode({ signal: AbortSignal.timeout(60_000), ...options })
    connections.add(connection)
    return connection
  }

  it('default: reads chain id and genesis', async () => {
    const anvil = await startAnvil({ args: ['--chain-id', '4242'] })
    const { chainId, genesisHash, provider } = await connect({ rpcUrl: anvil.rpcUrl, chainId: 4242n })
    const genesis = (await anvil.rpc('eth_getBlockByNumber', '0x0', false)) as { hash: string }
    assert.equal(chainId, 4242n)
    assert.equal(genesisHash, genesis.hash)
    assert.equal(await provider.getBlockNumber(), 0)
    await anvil.stop()
  })

  it('behavior: works on the node of Hardhat too', async () => {
    const node = await startHardhatNode()
    assert.equal((await connect({ rpcUrl: node.rpcUrl })).chainId, 31337n)
    await node.stop()
  })

  it('error: refuses another chain', async () => {
    const anvil = await startAnvil()
    await assert.rejects(connect({ rpcUrl: anvil.rpcUrl, chainId: 1n }), codeOf('WRONG_CHAIN'))
    await anvil.stop()
  })

  it('behavior: waits for a node that is not up yet', async () => {
    const port = await freePort()
    const connecting = connect({ rpcUrl: `http://127.0.0.1:${port}` })
    const anvil = await startAnvil({ port })
    assert.equal((await connecting).chainId, 31337n)
    await anvil.stop()
  })

  it('error: gives up on a node that stays away', async () => {
    const port = await freePort()
    const connecting = connect({ rpcUrl: `http://127.0.0.1:${port}`, patienceMs: 300 })
    await assert.rejects(connecting, codeOf('RPC_UNREACHABLE'))
  })

  it('error: does not wait for ever for an answer', async () => {
    const server = createServer(() => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const connecting = connect({ rpcUrl: `http://127.0.0.1:${port}`, timeoutMs: 100, patienceMs: 200 })
    await assert.rejects(connecting, codeOf('RPC_UNREACHABLE'))
    server.closeAllConnections()
    server.close()
  })

  it('error: ends at once when the agent stops', async () => {
    const aborter = new AbortController()
    const connecting = connect({ rpcUrl: `http://127.0.0.1:${await freePort()}`, signal: aborter.signal })
    aborter.abort()
    await assert.rejects(connecting, codeOf('ABORTED'))
  })
})

describe('trackHead', () => {
  it('behavior: gives new heads, tells reorgs, and outlives the node', async (t) => {
    const aborter = new AbortController()
    t.after(() => aborter.abort())
    const anvil = await startAnvil()
    t.after(() => anvil.kill())
    await anvil.mine(10)
    const { provider, close } = await connectNode({
      rpcUrl: anvil.rpcUrl,
      signal: aborter.signal,
      patienceMs: 200,
    })
    const heads = await trackHead({ provider, signal: aborter.signal, log: silent, pollMs: 20 })
    const changes: { number: number; reorg: boolean }[] = []
    heads.subscribe(({ head, reorg }) => changes.push({ number: head.number, reorg }))
    assert.equal(heads.current().number, 10)

    await anvil.mine(3)
    await until('the new head', () => heads.current().number === 13)
    assert.equal(
      changes.every(({ reorg }) => !reorg),
      true,
    )
    await anvil.rpc('anvil_reorg', 2, [])
    await until('the reorg', () => changes.some(({ reorg }) => reorg))

    const seen = changes.length
    await anvil.stop()
    await until('silence', () => heads.silentMs() > 300)
    const again = await startAnvil({ port: anvil.port })
    t.after(() => again.kill())
    await again.mine(2)
    await until('the new node', () => heads.current().number === 2 && changes.length > seen)
    assert.equal(changes.slice(seen)[0]?.reorg, true)
    await heads.stop()
    close()
  })
})
