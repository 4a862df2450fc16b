import '@nomicfoundation/hardhat-ethers'
import { network } from 'hardhat'

/** A fresh in-process chain that mines one block per transaction, with the rules of Prague unless others are named. */
export async function createChain(hardfork = 'prague') {
  const { ethers, provider } = await network.create({ override: { hardfork } })
  const signers = await ethers.getSigners()

  return {
    ethers,
    provider,
    /** Account `index` of the test mnemonic. */
    signer(index: number) {
      const signer = signers[index]
      if (signer === undefined) throw new Error(`there is no account ${index}`)
      return signer
    },
    head: async () => BigInt(await ethers.provider.getBlockNumber()),
    /** Mines until `block` is the latest one; the next transaction lands in `block + 1`. */
    async mineTo(block: bigint) {
      const head = BigInt(await ethers.provider.getBlockNumber())
      if (block < head) throw new Error(`block ${block} is in the past of ${head}`)
      if (block > head)
        await provider.request({ method: 'hardhat_mine', params: [`0x${(block - head).toString(16)}`] })
    },
    async setBalance(address: string, wei: bigint) {
      await provider.request({ method: 'hardhat_setBalance', params: [address, `0x${wei.toString(16)}`] })
    },
    /** Runs `work` and takes every change of the chain back. */
    async rolledBack<T>(work: () => Promise<T>): Promise<T> {
      const snapshot = await provider.request({ method: 'evm_snapshot' })
      try {
        return await work()
      } finally {
        await provider.request({ method: 'evm_revert', params: [snapshot] })
      }
    },
  }
}

export type Chain = Awaited<ReturnType<typeof createChain>>
export type TestSigner = ReturnType<Chain['signer']>
