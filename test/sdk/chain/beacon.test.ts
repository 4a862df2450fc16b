import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { keccak256 } from 'ethers'
import { headerRlp, type RpcBlock } from '../../../sdk/chain/beacon.ts'
import { Beacon__factory } from '../../../typechain-types/index.js'
import { type Anvil, startAnvil } from '../../support/anvil.ts'
import { createChain } from '../../support/chain.ts'

/** Blocks that differ: genesis, empty, with transactions. */
const NUMBERS = [0, 1, 2, 3]

describe('headerRlp', () => {
  it('hashes to the block hash on Hardhat, and its Beacon takes it', async () => {
    const chain = await createChain()
    const signer = chain.signer(1)
    const head = await chain.head()
    const beacon = await new Beacon__factory(signer).deploy(head + 2n, 4, 2, false)
    await signer.sendTransaction({ to: chain.signer(2), value: 1n })
    await chain.mineTo(head + 5n)
    for (const number of NUMBERS) {
      const block = await blockOf((method, ...params) => chain.provider.request({ method, params }), number)
      assert.equal(keccak256(headerRlp(block)), block.hash)
    }
    const boundary = await blockOf(
      (method, ...params) => chain.provider.request({ method, params }),
      Number(head + 2n),
    )
    await beacon.pin(0, headerRlp(boundary))
    assert.equal(await beacon.seedOf(0), boundary.mixHash)
  })

  for (const hardfork of ['london', 'paris', 'shanghai', 'cancun', 'prague']) {
    describe(`on anvil at ${hardfork}`, () => {
      let anvil: Anvil
      before(async () => {
        anvil = await startAnvil({ args: ['--hardfork', hardfork] })
      })
      after(() => anvil.stop())

      it('hashes to the block hash', async () => {
        const [from, to] = (await anvil.rpc('eth_accounts')) as string[]
        await anvil.rpc('eth_sendTransaction', { from, to, value: '0x1' })
        await anvil.mine(3)
        // At the older forks anvil hashes fields of later ones into its genesis block, which it then does not show.
        for (const number of NUMBERS.slice(1)) {
          const block = await blockOf(anvil.rpc, number)
          assert.equal(keccak256(headerRlp(block)), block.hash)
        }
      })
    })
  }

  it('error: a changed field, and a missing one', async () => {
    const { provider } = await createChain()
    const block = await blockOf((method, ...params) => provider.request({ method, params }), 0)
    assert.throws(() => headerRlp({ ...block, gasUsed: '0x5' }), { code: 'PEER_MISBEHAVED' })
    assert.throws(() => headerRlp({ ...block, stateRoot: undefined }), {
      code: 'PEER_MISBEHAVED',
      message: /stateRoot/,
    })
    assert.throws(() => headerRlp({ ...block, number: 'one' }), { code: 'PEER_MISBEHAVED' })
  })
})

async function blockOf(
  rpc: (method: string, ...params: unknown[]) => Promise<unknown>,
  number: number,
): Promise<RpcBlock> {
  return (await rpc('eth_getBlockByNumber', `0x${number.toString(16)}`, false)) as RpcBlock
}
