import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStore } from '../../../agents/kernel/store.ts'
import { type Anvil, startAnvil } from '../../support/anvil.ts'
import { startProcess } from '../../support/processes.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { deployTally, tallyInterface } from './kernel-fixture.ts'
import { seen } from './tally-follower.ts'

const CHILD = fileURLToPath(new URL('./crash-child.js', import.meta.url))

describe('crashPoint', () => {
  let anvil: Anvil
  let address: string
  let dataDir: string

  beforeEach(async () => {
    anvil = await startAnvil()
    address = await deployTally(anvil.rpcUrl)
    dataDir = tempDir()
  })
  afterEach(() => anvil.stop())

  const start = async (mode: 'follow' | 'submit', env: Record<string, string> = {}) => {
    const head = Number(await anvil.rpc('eth_blockNumber'))
    return startProcess(process.execPath, [CHILD, mode, anvil.rpcUrl, dataDir, address, String(head)], {
      env,
    })
  }

  const crashAt = async (mode: 'follow' | 'submit', point: string) => {
    const child = await start(mode, { ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: point })
    assert.equal((await child.exited).signal, 'SIGKILL', child.output())
  }

  const finish = async (mode: 'follow' | 'submit', env: Record<string, string> = {}) => {
    const child = await start(mode, env)
    assert.equal((await child.exited).code, 0, child.output())
  }

  /** Every number once, and none missing. */
  const assertSeen = (last: number) => {
    const store = openStore(`${dataDir}/test.sqlite`)
    const expected = Array.from({ length: last }, (_, i) => ({ number: i + 1, times: 1 }))
    assert.deepEqual(
      seen(store).map(({ number, times }) => ({ number, times })),
      expected,
    )
    store.close()
  }

  const count = async () =>
    Number(
      await anvil.rpc(
        'eth_call',
        { to: address, data: tallyInterface.encodeFunctionData('count') },
        'latest',
      ),
    )

  const bump = async (times: number) => {
    const [from] = (await anvil.rpc('eth_accounts')) as string[]
    const data = tallyInterface.encodeFunctionData('bump')
    for (let i = 0; i < times; i++) await anvil.rpc('eth_sendTransaction', { from, to: address, data })
  }

  it('behavior: a follower killed between handler and cursor applies each log once', async () => {
    await bump(5)
    await crashAt('follow', 'follower-before-cursor')
    await bump(2)
    // The environment stays as it was: the marker in the data folder lets the restarted process pass.
    await finish('follow', { ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: 'follower-before-cursor' })
    assertSeen(7)
  })

  it('behavior: a follower killed after any page applies each log once', async () => {
    for (const pages of [1, 2, 3]) {
      await bump(8)
      const child = await start('follow')
      await until(`it has applied ${pages} pages`, () => child.output().split('page').length > pages)
      child.kill()
      await child.exited
    }
    await finish('follow')
    assertSeen(24)
  })

  for (const point of ['sender-after-write', 'sender-after-broadcast']) {
    it(`behavior: a transaction is sent exactly once when killed at ${point}`, async () => {
      await crashAt('submit', point)
      await finish('submit')
      assert.equal(await count(), 1)
    })
  }

  it('behavior: does nothing unless crashes are allowed', async () => {
    await finish('submit', { ZEROG_CRASH_AT: 'sender-after-write' })
  })
})
