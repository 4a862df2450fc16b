import type { Hasher } from './hasher.ts'

/** Bytes of a leaf of the tree. */
export const DASTREE_BIN_BYTES = 65_536

const LEAF = 0xfe
const NODE = 0xff
const HASH_BYTES = 32

type Node = { readonly hash: Uint8Array; readonly bytes: number }

/**
 * The hash (32 B) by which Arbitrum's AnyTrust names data (Nitro, `dastree`): leaves are keccak(0xfe ‖ keccak(bin)) of bins of 64 KiB,
 * inner nodes keccak(0xff ‖ left ‖ right ‖ uint32 bytes below), an odd node moves up unchanged; the first bit of the root is flipped.
 * The length of the data stands in four bytes of a node, so it must be below 4 GiB.
 */
export function dastreeHash(hasher: Hasher, data: Uint8Array): Uint8Array {
  let layer = leavesOf(hasher, data)
  while (layer.length > 1) layer = parentsOf(hasher, layer)
  const root = Uint8Array.from(layer[0]?.hash ?? [])
  root[0] = (root[0] ?? 0) ^ 0x80
  return root
}

function leavesOf(hasher: Hasher, data: Uint8Array): Node[] {
  const count = Math.max(1, Math.ceil(data.length / DASTREE_BIN_BYTES))
  return Array.from({ length: count }, (_, index) => {
    const bin = data.subarray(index * DASTREE_BIN_BYTES, (index + 1) * DASTREE_BIN_BYTES)
    const leaf = new Uint8Array(1 + HASH_BYTES)
    leaf[0] = LEAF
    leaf.set(hasher.keccak256(bin), 1)
    return { hash: hasher.keccak256(leaf), bytes: bin.length }
  })
}

function parentsOf(hasher: Hasher, layer: readonly Node[]): Node[] {
  const parents: Node[] = []
  for (let at = 0; at < layer.length; at += 2) {
    const [left, right] = layer.slice(at, at + 2)
    if (left !== undefined) parents.push(right === undefined ? left : parentOf(hasher, left, right))
  }
  return parents
}

function parentOf(hasher: Hasher, left: Node, right: Node): Node {
  const bytes = left.bytes + right.bytes
  const preimage = new Uint8Array(1 + 2 * HASH_BYTES + 4)
  preimage[0] = NODE
  preimage.set(left.hash, 1)
  preimage.set(right.hash, 1 + HASH_BYTES)
  new DataView(preimage.buffer).setUint32(1 + 2 * HASH_BYTES, bytes)
  return { hash: hasher.keccak256(preimage), bytes }
}
