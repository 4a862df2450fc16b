import { concat, keccak256, ZeroHash } from 'ethers'
import { ZerogError } from './errors.ts'
import { toHex } from './hex.ts'
import { SEGMENT_SECTORS } from './layout.ts'
import { ZERO_HEIGHTS, zeroHash } from './zero-hashes.ts'

const SEGMENT_HEIGHT = Math.log2(SEGMENT_SECTORS)
const MAX_LENGTH = (1n << 64n) - 1n

/**
 * The Flow's append-only tree; twin of `FlowTreeLib.Tree`. A binary counter: `frontier[h]` (hex) is the root of a full subtree of 2^h sectors
 * exactly while bit h of `length` is set; other entries are stale. Plain data: may be stored as it is.
 */
export type FlowTree = { length: bigint; frontier: string[] }

/** A fresh tree: one leaf, bytes32(0), which is no sector. */
export function createFlowTree(): FlowTree {
  return { length: 1n, frontier: [ZeroHash] }
}

/**
 * Moves the end to the next segment when a submission would straddle a segment boundary without starting on one. Call it before the first
 * node of each submission. `height` is that of the first node, `sectors` those of all nodes. Returns where the submission will start.
 */
export function flowPad(tree: FlowTree, height: number, sectors: bigint): bigint {
  const start = alignUp(tree.length, height)
  const offset = start % BigInt(SEGMENT_SECTORS)
  if (offset === 0n || offset + sectors <= BigInt(SEGMENT_SECTORS)) return start
  const padded = alignUp(tree.length, SEGMENT_HEIGHT)
  if (padded > MAX_LENGTH) throw full(tree, height)
  fillGap(tree, SEGMENT_HEIGHT)
  return padded
}

/** Appends a perfect subtree of 2^height sectors at the next multiple of its size; returns its first position. */
export function flowAppend(tree: FlowTree, height: number, root: string): bigint {
  if (!Number.isInteger(height) || height < 0 || height >= ZERO_HEIGHTS) throw full(tree, height)
  const start = alignUp(tree.length, height)
  if (start + (1n << BigInt(height)) > MAX_LENGTH) throw full(tree, height)
  fillGap(tree, height)
  carry(tree, height, root)
  return start
}

/** Root over the smallest power of two of leaves that holds the log, unused ones being zero sectors. */
export function flowRoot(tree: FlowTree): string {
  let height = 0
  while (1n << BigInt(height) < tree.length) height++
  return 1n << BigInt(height) === tree.length ? node(tree, height) : fold(tree, height)
}

/** Appends zero sectors up to the next multiple of 2^height. */
function fillGap(tree: FlowTree, height: number): void {
  const end = alignUp(tree.length, height)
  if (end === tree.length) return
  const gap = fold(tree, height)
  tree.length = (tree.length >> BigInt(height)) << BigInt(height)
  carry(tree, height, gap)
}

/** Root of the subtree of `height` that holds position `length`, which is not a multiple of 2^height, zeros from there on. */
function fold(tree: FlowTree, height: number): string {
  let level = 0
  while (!hasBit(tree, level)) level++
  let root = toHex(zeroHash(level))
  for (; level < height; level++) {
    root = keccak256(concat(hasBit(tree, level) ? [node(tree, level), root] : [root, zeroHash(level)]))
  }
  return root
}

/** Adds a full subtree at `length`, a multiple of its size, and merges it with every full left neighbour. */
function carry(tree: FlowTree, height: number, root: string): void {
  let level = height
  let merged = root
  for (; hasBit(tree, level); level++) merged = keccak256(concat([node(tree, level), merged]))
  while (tree.frontier.length < level) tree.frontier.push(ZeroHash)
  tree.frontier[level] = merged
  tree.length += 1n << BigInt(height)
}

function node(tree: FlowTree, level: number): string {
  const root = tree.frontier[level]
  if (root === undefined)
    throw new ZerogError('STORE_CORRUPT', 'the flow tree lacks a node', { meta: { level } })
  return root
}

function hasBit(tree: FlowTree, level: number): boolean {
  return ((tree.length >> BigInt(level)) & 1n) === 1n
}

function alignUp(length: bigint, height: number): bigint {
  const size = 1n << BigInt(height)
  return ((length + size - 1n) / size) * size
}

function full(tree: FlowTree, height: number): ZerogError {
  return new ZerogError('SUBMISSION_INVALID', 'no node of this height fits the log', {
    meta: { length: tree.length, height },
  })
}
