import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { contractsOf } from '../../deploy/address-book.ts'
import { deployAll } from '../../deploy/deploy-all.ts'
import type { NetworkParams } from '../../deploy/deploy-params.ts'
import { devAccount } from '../../deploy/dev-account.ts'
import { networkByName } from '../../deploy/networks.ts'
import { publishSources } from '../../deploy/publish-sources.ts'
import { startAnvil } from './anvil-chain.ts'

/** Explorers refuse chain 31337, so the chain under test has another id. */
const CHAIN_ID = 16_602

function networkWith(apiUrl: string): NetworkParams {
  const url = 'http://127.0.0.1:1'
  return { ...networkByName('localhost'), chainId: CHAIN_ID, explorer: { kind: 'etherscan', url, apiUrl } }
}

/** Speaks the part of Etherscan's API that takes sources; there is none to run offline. */
async function startExplorer() {
  const taken: URLSearchParams[] = []
  const server = createServer(async (request, response) => {
    const query = new URL(request.url ?? '/', 'http://explorer').searchParams
    const body = new URLSearchParams(await text(request))
    const action = query.get('action') ?? body.get('action')
    if (action === 'verifysourcecode') taken.push(body)
    const result = {
      getsourcecode: [{ SourceCode: '' }],
      verifysourcecode: 'guid-1',
      checkverifystatus: 'Pass - Verified',
    }[action ?? '']
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ status: '1', message: 'OK', result }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    apiUrl: `http://127.0.0.1:${port}/api`,
    taken,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('publishSources', () => {
  it('default: sends source, compiler input and constructor arguments of every contract', async () => {
    await using anvil = await startAnvil('--chain-id', String(CHAIN_ID))
    await using explorer = await startExplorer()
    const network = networkWith(explorer.apiUrl)
    const { provider } = anvil
    const { book } = await deployAll({
      provider,
      signer: devAccount(1).connect(provider),
      network,
      pollMs: 5,
    })
    const verified: string[] = []
    await publishSources(book, network, {
      rpcUrl: anvil.url,
      apiKey: undefined,
      onVerified: (name) => verified.push(name),
    })
    const contracts = contractsOf(book)
    assert.deepEqual(
      verified,
      contracts.map(([name]) => name),
    )
    assert.equal(explorer.taken.length, contracts.length)
    for (const [index, [name, entry]] of contracts.entries()) {
      const form = explorer.taken[index]
      assert.equal(form?.get('contractaddress'), entry.address)
      assert.match(form?.get('contractname') ?? '', new RegExp(`contracts/.*/${name}\\.sol:${name}$`))
      const creation = await provider.getTransaction(entry.txHash)
      const args = form?.get('constructorArguments') ?? form?.get('constructorArguements') ?? ''
      assert.equal(args.length > 0, entry.args.length > 0, name)
      assert.ok(creation?.data.endsWith(args), `${name}: ${args}`)
    }
  })

  it('error: the explorer cannot be reached', async () => {
    await using anvil = await startAnvil('--chain-id', String(CHAIN_ID))
    const network = networkWith('http://127.0.0.1:9/api')
    const { provider } = anvil
    const { book } = await deployAll({
      provider,
      signer: devAccount(1).connect(provider),
      network,
      pollMs: 5,
    })
    await assert.rejects(
      publishSources(book, network, { rpcUrl: anvil.url, apiKey: undefined, onVerified: () => undefined }),
      (error: Error) => {
        assert.equal((error as { code?: unknown }).code, 'EXPLORER_FAILED')
        assert.match(error.message, /^Beacon at 0x/)
        return true
      },
    )
  })

  it('error: a network without an explorer', async () => {
    await using anvil = await startAnvil()
    const { provider } = anvil
    const network = networkByName('localhost')
    const { book } = await deployAll({
      provider,
      signer: devAccount(1).connect(provider),
      network,
      pollMs: 5,
    })
    await assert.rejects(
      publishSources(book, network, { rpcUrl: anvil.url, apiKey: undefined, onVerified: () => undefined }),
      { code: 'CONFIG_INVALID' },
    )
  })
})
