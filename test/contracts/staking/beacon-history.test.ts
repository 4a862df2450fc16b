import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { JsonRpcProvider, keccak256, toBeHex, toQuantity, Wallet } from 'ethers'
import { type Beacon, Beacon__factory } from '../../../typechain-types/index.js'
import { revertsWith } from '../../support/reverts.ts'
import { eventOf } from './fixture.ts'
import { headerRlp } from './header-rlp.ts'

// anvil's first account, funded on every anvil chain.
const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'
// EIP-2935: the contract, and how many blocks back it answers.
const HISTORY = '0x0000F90827F1C53a10cb7A02335B175320002935'
const WINDOW_BLOCKS = 8_191n
const GENESIS_NUMBER = 1_000_000
const START_DEADLINE_MS = 30_000

/** The port, once the process prints that it listens; rejects when it ends first. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('anvil did not start in time')), START_DEADLINE_MS)
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const port = /Listening on [^\s]*:(\d+)/.exec(text)?.[1]
      if (port === undefined) return
      clearTimeout(timer)
      resolve(port)
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`anvil ended with ${code}: ${text}`)))
  })
}

describe('Beacon on a chain with EIP-2935', () => {
  let anvil: ChildProcess
  let provider: JsonRpcProvider
  let wallet: Wallet

  before(async () => {
    const args = ['--hardfork', 'prague', '--port', '0', '--number', `${GENESIS_NUMBER}`]
    anvil = spawn('node_modules/.bin/anvil', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const port = await listening(anvil)
    provider = new JsonRpcProvider(`http://127.0.0.1:${port}`, undefined, {
      cacheTimeout: -1,
      pollingInterval: 20,
    })
    wallet = new Wallet(KEY, provider)
  })

  after(async () => {
    provider?.destroy()
    if (anvil === undefined || anvil.exitCode !== null) return
    // SIGTERM, because the npm launcher passes it on to the binary; a killed launcher would leave that behind.
    const gone = once(anvil, 'exit')
    anvil.kill('SIGTERM')
    await gone
  })

  const head = async () => BigInt(await provider.getBlockNumber())

  /** A beacon whose period 1 will be `age` blocks old in the next transaction. */
  const beaconWithBoundary = async (age: bigint, useBlockHash = false) => {
    const beacon = await new Beacon__factory(wallet).deploy((await head()) + 1n, 10n, 2n, useBlockHash)
    await beacon.waitForDeployment()
    const boundary = await beacon.periodStart(1n)
    await provider.send('anvil_mine', [toQuantity(boundary + age - 1n - (await head()))])
    return { beacon, boundary }
  }

  /** The header of a block, or what it would be with another number. */
  const headerOf = async (number: bigint, as = number): Promise<{ rlp: string; mixHash: string }> => {
    const block = await provider.send('eth_getBlockByNumber', [toQuantity(number), false])
    return { rlp: headerRlp({ ...block, number: toQuantity(as) }), mixHash: block.mixHash }
  }

  const assertPins = async ({ beacon, boundary }: { beacon: Beacon; boundary: bigint }, age: bigint) => {
    const { rlp, mixHash } = await headerOf(boundary)
    const event = await eventOf(beacon.pin(1n, rlp), beacon, 'SeedPinned')
    assert.deepEqual(event, { period: 1n, seed: mixHash, pinner: wallet.address, boundaryBlock: boundary })
    assert.equal((await beacon.pinnedAt(1n)) - boundary, age)
  }

  it('pins at 256 blocks by the opcode and at 257 by the history contract', async () => {
    for (const age of [256n, 257n]) await assertPins(await beaconWithBoundary(age), age)
  })

  it('error: a wrong header is refused on the history path too', async () => {
    const { beacon, boundary } = await beaconWithBoundary(500n)
    await revertsWith(
      beacon.pin.estimateGas(1n, (await headerOf(boundary + 1n)).rlp),
      beacon,
      'HeaderMismatch',
    )
  })

  it('pins by block hash on the history path', async () => {
    const { beacon } = await beaconWithBoundary(400n, true)
    await eventOf(beacon.pin(1n, '0x'), beacon, 'SeedPinned')
    assert.notEqual(BigInt(await beacon.seedOf(1n)), 0n)
  })

  it('pins at 8191 blocks, and at 8192 the boundary is out of reach for ever', async () => {
    // The chain begins at a high number, so that a boundary before its first block is this old at once. The history
    // contract is the real one; only the hash that a longer chain would have left in it is put there.
    const boundary = (await head()) + 3n - WINDOW_BLOCKS
    const { rlp, mixHash } = await headerOf(await head(), boundary)
    await provider.send('anvil_setStorageAt', [
      HISTORY,
      toBeHex(boundary % WINDOW_BLOCKS, 32),
      keccak256(rlp),
    ])
    const young = await new Beacon__factory(wallet).deploy(boundary, 10n, 2n, false)
    const late = await new Beacon__factory(wallet).deploy(boundary, 10n, 2n, false)
    await late.waitForDeployment()
    const event = await eventOf(young.pin(0n, rlp), young, 'SeedPinned')
    assert.deepEqual(event, { period: 0n, seed: mixHash, pinner: wallet.address, boundaryBlock: boundary })
    assert.equal((await young.pinnedAt(0n)) - boundary, WINDOW_BLOCKS)

    for (const blocks of [1n, 100n]) {
      await provider.send('anvil_mine', [toQuantity(blocks)])
      await revertsWith(late.pin.estimateGas(0n, rlp), late, 'BoundaryUnreachable', [0n, boundary])
    }
    assert.equal(BigInt(await late.seedOf(0n)), 0n)
  })
})
