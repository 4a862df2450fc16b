import { keccak256 } from 'ethers'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'

/** Has ethers hash with WebAssembly instead of its plain TypeScript, in the whole process. */
export async function useFastKeccak(): Promise<void> {
  const { keccak256: digest } = await loadHasher()
  keccak256.register((bytes) => toHex(digest(bytes)))
}
