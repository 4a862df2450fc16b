import { AbiCoder, concat, keccak256 } from 'ethers'
import { ZerogError } from './errors.ts'
import { HASH_BYTES, type Hasher } from './hasher.ts'
import { fromHex, toHex } from './hex.ts'
import { type FileLayout, fileLayout, SECTOR_BYTES } from './layout.ts'
import { rootOfNodes, sectorHashes } from './merkle.ts'

/** A perfect subtree of a file as the Flow's ABI has it: `root` 32 B of hex, `height` log2 of its sectors. */
export type SubmissionNode = { root: string; height: number }

/** What the Flow is told about a file: length in bytes and nodes, biggest first. */
export type Submission = { byteLength: number; nodes: SubmissionNode[] }

/** Root and submission of a file. */
export type FileTree = { root: string; submission: Submission }

/** Tree of a whole file in memory. Throws EMPTY_FILE. */
export function fileTreeOf(hasher: Hasher, data: Uint8Array): FileTree {
  const layout = fileLayout(data.length)
  return treeOver(hasher, layout, sectorHashes(hasher, data, layout.paddedSectors), 0)
}

/** Tree of a file from the roots (32 B each, side by side) of its data shards: at most 16 hashes. */
export function fileTree(hasher: Hasher, layout: FileLayout, shardRoots: Uint8Array): FileTree {
  if (shardRoots.length !== layout.dataShards * HASH_BYTES) {
    throw new ZerogError('BAD_REQUEST', `the file has ${layout.dataShards} data shards`)
  }
  return treeOver(hasher, layout, shardRoots, Math.log2(layout.shardSectors))
}

/** Sectors of all nodes together: what is paid for. */
export function submissionSectors(nodes: readonly SubmissionNode[]): number {
  return nodes.reduce((sum, node) => sum + 2 ** node.height, 0)
}

/** File root from the submission's nodes: the last root, hashed leftwards. */
export function submissionRoot(nodes: readonly SubmissionNode[]): string {
  return nodes.reduceRight(
    (right, node) => (right === '' ? node.root : keccak256(concat([node.root, right]))),
    '',
  )
}

/** The indexed `identity` of 0G's Submit event: keccak256 of the node roots side by side. Not the file root. */
export function submissionIdentity(nodes: readonly SubmissionNode[]): string {
  return keccak256(concat(nodes.map((node) => node.root)))
}

/** What the Flow keeps: keccak256(abi.encode(uint256 byteLength, (bytes32 root, uint256 height)[] nodes)). */
export function submissionDigest({ byteLength, nodes }: Submission): string {
  return keccak256(
    AbiCoder.defaultAbiCoder().encode(
      ['uint256', 'tuple(bytes32 root, uint256 height)[]'],
      [byteLength, nodes.map(({ root, height }) => ({ root, height }))],
    ),
  )
}

/** Price of storing the padded sectors, in wei: sectors x pricePerSector, as the public SDKs compute it. */
export function submissionFeeWei(paddedSectors: number, pricePerSectorWei: bigint): bigint {
  return BigInt(paddedSectors) * pricePerSectorWei
}

/**
 * Checks the rules of 0G's Flow: at least one node, heights strictly descending, spread under 4, below 64, the bytes fit and would not fit
 * the next smaller padding. Throws SUBMISSION_INVALID.
 */
export function checkSubmission({ byteLength, nodes }: Submission): void {
  const [first, ...rest] = nodes
  const last = nodes.at(-1)
  if (first === undefined || last === undefined) throw invalid('there is no node')
  if (nodes.some(({ height }) => !Number.isInteger(height) || height < 0))
    throw invalid('a height is not a whole number')
  if (first.height >= 64) throw invalid('a height is over 63')
  if (first.height - last.height >= 4) throw invalid('heights lie more than 3 apart')
  let above = first.height
  for (const { height } of rest) {
    if (height >= above) throw invalid('heights do not descend')
    above = height
  }
  for (const { root } of nodes) fromHex(root, HASH_BYTES)
  if (!Number.isSafeInteger(byteLength) || byteLength <= 0)
    throw invalid('the length is not a positive number')
  const capacity = submissionSectors(nodes)
  if (byteLength > capacity * SECTOR_BYTES) throw invalid('the bytes do not fit the nodes')
  if (byteLength <= smallerPadding(capacity, nodes.length, first.height) * SECTOR_BYTES)
    throw invalid('the file is padded too far')
}

/** The padding one step below `capacity`, by the rule of 0G's Flow. */
function smallerPadding(capacity: number, nodeCount: number, firstHeight: number): number {
  if (capacity < 16) return capacity - 1
  return nodeCount === 1 ? capacity - capacity / 16 : capacity - 2 ** (firstHeight - 3)
}

function treeOver(hasher: Hasher, layout: FileLayout, leaves: Uint8Array, leafHeight: number): FileTree {
  let at = 0
  const nodes = layout.nodeHeights.map((height): SubmissionNode => {
    const end = at + 2 ** (height - leafHeight) * HASH_BYTES
    const root = toHex(rootOfNodes(hasher, leaves.subarray(at, end)))
    at = end
    return { root, height }
  })
  return { root: submissionRoot(nodes), submission: { byteLength: layout.byteLength, nodes } }
}

function invalid(reason: string): ZerogError {
  return new ZerogError('SUBMISSION_INVALID', `invalid submission: ${reason}`)
}
