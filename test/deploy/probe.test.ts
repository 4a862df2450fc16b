import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { JsonRpcProvider, type Provider, type TransactionRequest, toBeHex, toQuantity } from 'ethers'
import { devAccount } from '../../deploy/dev-account.ts'
import { networkByName } from '../../deploy/networks.ts'
import { prepareDeployment } from '../../deploy/prepare.ts'
import { probeChain } from '../../deploy/probe.ts'
import { probeLayers } from '../../deploy/probe-layers.ts'
import { createChain } from '../support/chain.ts'
import { startAnvil } from './anvil-chain.ts'

const localhost = networkByName('localhost')
const galileo = networkByName('galileo')

const codeOf = (code: string) => (error: unknown) => {
  assert.equal((error as { code?: unknown }).code, code, String(error))
  return true
}

/** A rollup's node: the same chain, but NUMBER answers with the blocks of another one. No such node runs offline. */
class RollupProvider extends JsonRpcProvider {
  override async call(request: TransactionRequest): Promise<string> {
    const answer = await super.call(request)
    return request.to == null && request.blockTag !== undefined
      ? toBeHex(BigInt(answer) + 20_000_000n, 32)
      : answer
  }
}

/** A chain without any precompile: calls to them succeed and return nothing. */
class EmptyProvider extends JsonRpcProvider {
  override async call(): Promise<string> {
    return '0x'
  }
}

describe('probeChain', () => {
  it('default: measures block time, history and randomness', async () => {
    await using anvil = await startAnvil()
    await anvil.provider.send('anvil_mine', [toQuantity(310), toQuantity(2)])
    const probe = await probeChain(anvil.provider, localhost)
    assert.equal(probe.head, 310)
    assert.equal(probe.blockSec, 2)
    assert.equal(probe.prevRandaoVaries, true)
    assert.equal(probe.hasHistory, true)
    assert.ok(probe.gasPriceWei > 0n)
    assert.equal(probe.genesisHash, (await anvil.provider.getBlock(0))?.hash)
  })

  it('behavior: finds a constant prevRandao', async () => {
    const chain = await createChain()
    for (let block = 0; block < 5; block++) {
      await chain.provider.request({ method: 'hardhat_setPrevRandao', params: [toBeHex(7, 32)] })
      await chain.provider.request({ method: 'hardhat_mine' })
    }
    const provider = chain.ethers.provider as Provider
    assert.equal((await probeChain(provider, localhost)).prevRandaoVaries, false)
  })

  it('error: a chain whose block.number does not count its own blocks', async () => {
    await using anvil = await startAnvil()
    const rollup = new RollupProvider(anvil.url)
    await assert.rejects(probeChain(rollup, localhost), codeOf('NETWORK_REFUSED'))
    rollup.destroy()
  })

  it('error: an EVM older than Cancun', async () => {
    await using anvil = await startAnvil('--hardfork', 'shanghai')
    await assert.rejects(probeChain(anvil.provider, localhost), codeOf('NETWORK_REFUSED'))
  })

  it('error: a live network with too few blocks to measure', async () => {
    await using anvil = await startAnvil('--chain-id', String(galileo.chainId))
    const signer = devAccount(1).connect(anvil.provider)
    await assert.rejects(
      prepareDeployment({ provider: anvil.provider, signer, network: galileo }),
      codeOf('NETWORK_REFUSED'),
    )
  })
})

describe('probeLayers', () => {
  it('default: finds the precompiles of Prague', async () => {
    await using anvil = await startAnvil()
    for (const isLive of [false, true])
      assert.deepEqual(await probeLayers(anvil.provider, { isLive }), { missing: [] })
  })

  it('behavior: misses BLS12-381 on Cancun', async () => {
    await using anvil = await startAnvil('--hardfork', 'cancun')
    const { missing } = await probeLayers(anvil.provider, { isLive: true })
    assert.deepEqual(
      missing.map((name) => name.slice(0, 4)),
      ['0x0b', '0x0c', '0x0d', '0x0e', '0x0f', '0x10', '0x11'],
    )
  })

  it('behavior: a call to an empty address is no answer, whatever it returns', async () => {
    await using anvil = await startAnvil()
    const silent = new EmptyProvider(anvil.url)
    for (const isLive of [false, true])
      assert.equal((await probeLayers(silent, { isLive })).missing.length, 9)
    silent.destroy()
  })
})
