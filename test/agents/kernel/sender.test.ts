import assert from 'node:assert/strict'
import { after, afterEach, beforeEach, describe, it } from 'node:test'
import { keccak256, toBeHex, Wallet } from 'ethers'
import { openStore } from '../../../agents/kernel/store.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { type Anvil, DEV_KEYS, startAnvil } from '../../support/anvil.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { deployTally, startKernel, stopKernels, tallyInterface } from './kernel-fixture.ts'

const bump = tallyInterface.encodeFunctionData('bump')
const bumpTo = (number: number) => tallyInterface.encodeFunctionData('bumpTo', [number])
const codeOf = (code: string) => (error: unknown) => error instanceof ZerogError && error.code === code

describe('createSender', () => {
  let anvil: Anvil
  let to: string

  beforeEach(async () => {
    anvil = await startAnvil()
    to = await deployTally(anvil.rpcUrl)
    await anvil.mine(10)
  })
  afterEach(async () => {
    await stopKernels()
    await anvil.stop()
  })

  const count = async () =>
    Number(await anvil.rpc('eth_call', { to, data: tallyInterface.encodeFunctionData('count') }, 'latest'))

  it('default: sends, waits for the receipt and returns it', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    const receipt = await kernel.sender.submit({ to, data: bump, valueWei: 5n, label: 'one' })
    assert.equal(receipt?.status, 1)
    assert.equal(receipt?.logs.length, 1)
    assert.equal(await count(), 1)
    assert.equal(kernel.sender.pendingCount(), 0)
  })

  it('behavior: waits for the confirmations', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl, confirmations: 3 })
    let done = false
    const submitted = kernel.sender.submit({ to, data: bump, label: 'deep' }).then((receipt) => {
      done = true
      return receipt
    })
    await until('it is mined', async () => (await count()) === 1)
    await anvil.mine(2)
    const seen = Number(await anvil.rpc('eth_blockNumber'))
    await until('the sender has seen these blocks', () => kernel.heads.current().number === seen)
    assert.equal(done, false)
    await anvil.mine(1)
    const receipt = await submitted
    assert.equal(receipt?.blockNumber, seen - 2)
  })

  it('behavior: parallel submits get nonces of their own and are all mined', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    const labels = Array.from({ length: 8 }, (_, i) => `parallel-${i}`)
    const receipts = await Promise.all(labels.map((label) => kernel.sender.submit({ to, data: bump, label })))
    assert.equal(new Set(receipts.map((receipt) => receipt?.hash)).size, 8)
    assert.equal(await count(), 8)
  })

  it('behavior: submits of one label are one transaction', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    const [a, b] = await Promise.all(
      [1, 2].map(() => kernel.sender.submit({ to, data: bump, label: 'same' })),
    )
    assert.equal(a?.hash, b?.hash)
    assert.equal(await count(), 1)
    await kernel.sender.submit({ to, data: bump, label: 'same' })
    assert.equal(await count(), 2, 'a delivered label may be used for the next intent')
  })

  it('error: a revert is found by simulation, with its data, and nothing is sent', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    const nonce = await anvil.rpc('eth_getTransactionCount', kernel.sender.address, 'latest')
    await assert.rejects(kernel.sender.submit({ to, data: bumpTo(7), label: 'wrong' }), (error) => {
      assert.ok(error instanceof ZerogError && error.code === 'TX_REVERTED')
      assert.equal(error.retryable, false)
      assert.equal(error.meta.selector, tallyInterface.getError('WrongNumber')?.selector)
      assert.deepEqual([...(tallyInterface.parseError(String(error.meta.data))?.args ?? [])], [1n, 7n])
      return true
    })
    assert.equal(await anvil.rpc('eth_getTransactionCount', kernel.sender.address, 'latest'), nonce)
  })

  it('behavior: a revert that means "already done" gives null', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    const alreadyDone = (error: ZerogError) =>
      error.meta.selector === tallyInterface.getError('WrongNumber')?.selector
    assert.equal(await kernel.sender.submit({ to, data: bumpTo(9), label: 'done', alreadyDone }), null)
  })

  it('error: a transaction that loses a race reverts when mined', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    await anvil.rpc('evm_setAutomine', false)
    const submitted = kernel.sender.submit({ to, data: bumpTo(1), label: 'race' })
    const rejected = assert.rejects(submitted, codeOf('TX_REVERTED'))
    await until('it is in the pool', async () => (await pooled(anvil)).length === 1)
    // The other one pays more and is mined first.
    const rival = new Wallet(DEV_KEYS[2], kernel.provider)
    await rival.sendTransaction({
      gasLimit: 200_000n,
      to,
      data: bump,
      maxFeePerGas: 90_000_000_000n,
      maxPriorityFeePerGas: 50_000_000_000n,
    })
    await anvil.mine()
    await rejected
    assert.equal(await count(), 1)
  })

  it('error: says what an empty account needs', async () => {
    const key = toBeHex(12345n, 32)
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl, key })
    await assert.rejects(kernel.sender.submit({ to, data: bump, label: 'poor' }), (error) => {
      assert.ok(error instanceof ZerogError && error.code === 'INSUFFICIENT_FUNDS')
      assert.equal(error.meta.haveWei, '0')
      return true
    })
    assert.equal(kernel.sender.pendingCount(), 0)
  })

  it('error: does not pay more than the cap', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl, maxFeeWei: 1n })
    await assert.rejects(kernel.sender.submit({ to, data: bump, label: 'cheap' }), codeOf('TX_UNDERPRICED'))
  })

  it('error: is not sent at or after its deadline', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    const deadlineBlock = kernel.heads.current().number
    await assert.rejects(
      kernel.sender.submit({ to, data: bump, label: 'late', deadlineBlock }),
      codeOf('DEADLINE_PASSED'),
    )
  })

  it('behavior: frees the nonce of a transaction that was not mined in time', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    await anvil.rpc('evm_setAutomine', false)
    const deadlineBlock = kernel.heads.current().number + 2
    const rejected = assert.rejects(
      kernel.sender.submit({ to, data: bump, label: 'missed', deadlineBlock }),
      codeOf('DEADLINE_PASSED'),
    )
    await until('it is in the pool', async () => (await pooled(anvil)).length === 1)
    await withoutTransactions(anvil, 2)
    await until('it is replaced', async () =>
      (await pooled(anvil)).some((tx) => tx.to === kernel.sender.address.toLowerCase()),
    )
    await anvil.mine()
    await rejected
    assert.equal(await count(), 0)
  })

  it('behavior: raises the fee of a transaction that is not mined', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl, speedUpBlocks: 3 })
    await anvil.rpc('evm_setAutomine', false)
    const submitted = kernel.sender.submit({ to, data: bump, label: 'slow' })
    const [first] = await until('it is in the pool', async () => {
      const all = await pooled(anvil)
      return all.length > 0 && all
    })
    await withoutTransactions(anvil, 3)
    const raised = await until('it is replaced', async () => {
      const [tx] = await pooled(anvil)
      return tx !== undefined && tx.hash !== first?.hash && tx
    })
    assert.equal(raised.nonce, first?.nonce)
    assert.ok(BigInt(raised.maxFeePerGas) * 1000n >= BigInt(first?.maxFeePerGas ?? 0) * 1125n)
    await anvil.mine()
    assert.equal((await submitted)?.hash, raised.hash)
    assert.equal(await count(), 1)
  })

  it('behavior: sends again what the node forgot', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    await anvil.rpc('evm_setAutomine', false)
    const submitted = kernel.sender.submit({ to, data: bump, label: 'forgotten' })
    await until('it is in the pool', async () => (await pooled(anvil)).length === 1)
    await anvil.rpc('anvil_dropAllTransactions')
    await until('it is back', async () => (await pooled(anvil)).length === 1)
    await anvil.mine()
    assert.equal((await submitted)?.status, 1)
  })

  it('behavior: sends again what a reorg dropped after it was delivered', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    await kernel.sender.submit({ to, data: bump, label: 'dropped' })
    assert.equal(await count(), 1)
    await anvil.rpc('anvil_reorg', 3, [])
    assert.equal(await count(), 0)
    await until('it is mined again', async () => (await count()) === 1)
  })

  it('behavior: a restart takes up what was pending and hands its receipt to the same label', async () => {
    const dataDir = tempDir()
    await anvil.rpc('evm_setAutomine', false)
    const first = await startKernel({ rpcUrl: anvil.rpcUrl, dataDir })
    const aborted = assert.rejects(
      first.sender.submit({ to, data: bump, label: 'resume' }),
      codeOf('ABORTED'),
    )
    const [sent] = await until('it is in the pool', async () => {
      const all = await pooled(anvil)
      return all.length > 0 && all
    })
    await first.stop()
    await aborted
    await anvil.rpc('anvil_dropAllTransactions')

    const second = await startKernel({ rpcUrl: anvil.rpcUrl, dataDir })
    assert.equal(second.sender.pendingCount(), 1)
    await until('it is back in the pool', async () => (await pooled(anvil)).length === 1)
    await anvil.mine()
    await until('it counts as mined', () => second.sender.pendingCount() === 0)
    await anvil.rpc('evm_setAutomine', true)
    const receipt = await second.sender.submit({ to, data: bump, label: 'resume' })
    assert.equal(receipt?.hash, sent?.hash)
    assert.equal(await count(), 1)
  })

  it('behavior: another process using the key costs a nonce, never a transaction', async () => {
    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl })
    await anvil.rpc('evm_setAutomine', false)
    const submitted = kernel.sender.submit({ to, data: bump, label: 'contested' })
    const [ours] = await until('it is in the pool', async () => {
      const all = await pooled(anvil)
      return all.length > 0 && all
    })
    await anvil.rpc('anvil_dropAllTransactions')
    const thief = new Wallet(DEV_KEYS[0], kernel.provider)
    const fees = { maxFeePerGas: 90_000_000_000n, maxPriorityFeePerGas: 50_000_000_000n }
    await anvil.rpc('evm_setAutomine', true)
    await thief
      .sendTransaction({ to: thief.address, nonce: Number(ours?.nonce), ...fees })
      .catch(() => undefined)
    const receipt = await submitted
    assert.equal(receipt?.status, 1)
    assert.equal(await count(), 1)
  })

  it('behavior: fills a gap below a pending nonce', async () => {
    const dataDir = tempDir()
    const before = await startKernel({ rpcUrl: anvil.rpcUrl, dataDir })
    const { address } = before.sender
    const nonce = Number(await anvil.rpc('eth_getTransactionCount', address, 'latest'))
    await before.stop()
    // What a removed journal and a lost pool leave: our next transaction waits behind a nonce nobody fills.
    const raw = await new Wallet(DEV_KEYS[0]).signTransaction({
      ...{ type: 2, chainId: 31337n, nonce: nonce + 1, to, data: bump, gasLimit: 200_000n },
      ...{ maxFeePerGas: 20_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n },
    })
    const store = openStore(`${dataDir}/test.sqlite`)
    store.run(
      `INSERT INTO kernel_tx (id, sender, label, nonce, target, data, value_wei, gas_limit, state)
       VALUES (1, ?, 'stuck', ?, ?, ?, '0', '200000', 'pending')`,
      ...[address, nonce + 1, to, bump],
    )
    store.run(
      "INSERT INTO kernel_attempt VALUES (?, 1, ?, 'send', '20000000000', '1000000000', 0)",
      keccak256(raw),
      raw,
    )
    store.close()

    const kernel = await startKernel({ rpcUrl: anvil.rpcUrl, dataDir, speedUpBlocks: 2 })
    await until('it is in the pool', async () => kernel.sender.pendingCount() === 1)
    const seen = kernel.heads.current().number
    await until('the gap is filled and it is mined', async () => {
      if (kernel.heads.current().number < seen + 3) await anvil.mine()
      return (await count()) === 1
    })
    await until('nothing is pending', () => kernel.sender.pendingCount() === 0)
  })
})

describe('createSender over a node restart', () => {
  it('behavior: goes on when the node comes back without its pool', async () => {
    after(stopKernels)
    const state = `${tempDir()}/state.json`
    const args = ['--state', state]
    const first = await startAnvil({ args })
    const to = await deployTally(first.rpcUrl)
    const kernel = await startKernel({ rpcUrl: first.rpcUrl })
    await kernel.sender.submit({ to, data: bump, label: 'before' })
    await first.rpc('evm_setAutomine', false)
    const submitted = kernel.sender.submit({ to, data: bump, label: 'across' })
    await until('it is in the pool', async () => (await pooled(first)).length === 1)
    await first.stop()
    const second = await startAnvil({ args, port: first.port })
    const receipt = await submitted
    assert.equal(receipt?.status, 1)
    assert.equal(
      Number(
        await second.rpc('eth_call', { to, data: tallyInterface.encodeFunctionData('count') }, 'latest'),
      ),
      2,
    )
    await second.stop()
  })
})

type PoolTx = { hash: string; to: string; nonce: string; maxFeePerGas: string }

async function pooled(anvil: Anvil): Promise<PoolTx[]> {
  const content = (await anvil.rpc('txpool_content')) as { pending: Record<string, Record<string, PoolTx>> }
  return Object.values(content.pending).flatMap((byNonce) => Object.values(byNonce))
}

/** Mines blocks that leave the pool alone, as a chain does on which others pay more. */
async function withoutTransactions(anvil: Anvil, blocks: number): Promise<void> {
  const limit = ((await anvil.rpc('eth_getBlockByNumber', 'latest', false)) as { gasLimit: string }).gasLimit
  await anvil.rpc('evm_setBlockGasLimit', '0x5300')
  await anvil.mine(blocks)
  await anvil.rpc('evm_setBlockGasLimit', limit)
}
