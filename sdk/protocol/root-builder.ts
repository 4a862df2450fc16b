import { ZerogError } from './errors.ts'
import { HASH_BYTES, type Hasher } from './hasher.ts'
import { SECTOR_BYTES, SEGMENT_SECTORS } from './layout.ts'
import { concatPair, zeroHash } from './zero-hashes.ts'

const SEGMENT_HEIGHT = Math.log2(SEGMENT_SECTORS)

/** Hashes a stream of bytes into a tree of known size, in bounded memory. */
export type RootBuilder = {
  /** Takes the next bytes, in pieces of any length. Multiples of 256 B cost no copy. Throws FILE_TOO_LARGE past the end. */
  push(bytes: Uint8Array): void
  /** Fills the rest with zeros and returns the root. The builder takes no more bytes. */
  root(): Uint8Array
}

/**
 * A builder for the tree over `sectors` sectors, by the rule of `merkleRoot`. `onNodes` hears the roots of the whole
 * subtrees of 2^`nodeHeight` sectors (a segment by default, never more) as they fill up, padding included: some at a
 * time, 32 bytes each, the first of them number `index`; the bytes are only good during the call.
 */
export function createRootBuilder(
  hasher: Hasher,
  { sectors, nodeHeight = SEGMENT_HEIGHT, onNodes }: createRootBuilder.Options,
): RootBuilder {
  if (!Number.isSafeInteger(sectors) || sectors < 1)
    throw new ZerogError('EMPTY_FILE', 'a tree has at least one sector')
  // A binary counter: frontier[h] is the root of a full subtree of 2^h sectors while bit h of `position` is set.
  const frontier: Uint8Array[] = []
  const partial = new Uint8Array(SECTOR_BYTES)
  const scratch = new Uint8Array(SEGMENT_SECTORS * HASH_BYTES)
  let partialBytes = 0
  let position = 0
  let result: Uint8Array | undefined

  function add(node: Uint8Array, height: number): void {
    let root = node
    let level = height
    for (let slot = position / 2 ** height; slot % 2 === 1; slot = (slot - 1) / 2) {
      root = hasher.hashPairs(concatPair(frontier[level] ?? root, root))
      level++
      if (level === nodeHeight) onNodes?.(root, Math.floor(position / 2 ** level))
    }
    frontier[level] = root
    position += 2 ** height
  }

  /** Adds whole sectors in runs that are perfect subtrees at their place. */
  function addSectors(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const run = runAt(position, (bytes.length - at) / SECTOR_BYTES)
      let level = hasher.hashSectors(bytes.subarray(at, at + run * SECTOR_BYTES), scratch)
      for (let height = 0; ; height++) {
        if (height === nodeHeight) onNodes?.(level, position / 2 ** height)
        if (level.length === HASH_BYTES) break
        level = hasher.hashPairs(level, scratch)
      }
      at += run * SECTOR_BYTES
      add(level.slice(), Math.log2(run))
    }
  }

  /** Adds a subtree of zeros. */
  function addZeros(height: number): void {
    if (height >= nodeHeight) {
      const first = position / 2 ** nodeHeight
      for (let i = 0; i < 2 ** (height - nodeHeight); i++) onNodes?.(zeroHash(nodeHeight), first + i)
    }
    add(zeroHash(height), height)
  }

  function push(bytes: Uint8Array): void {
    if (result !== undefined) throw new ZerogError('BAD_REQUEST', 'the tree is finished')
    if (position * SECTOR_BYTES + partialBytes + bytes.length > sectors * SECTOR_BYTES) {
      throw new ZerogError('FILE_TOO_LARGE', `more bytes than ${sectors} sectors`)
    }
    let rest = bytes
    if (partialBytes > 0) {
      const taken = Math.min(SECTOR_BYTES - partialBytes, rest.length)
      partial.set(rest.subarray(0, taken), partialBytes)
      partialBytes += taken
      rest = rest.subarray(taken)
      if (partialBytes < SECTOR_BYTES) return
      partialBytes = 0
      addSectors(partial)
    }
    const whole = rest.length - (rest.length % SECTOR_BYTES)
    addSectors(rest.subarray(0, whole))
    partial.set(rest.subarray(whole))
    partialBytes = rest.length - whole
  }

  function root(): Uint8Array {
    if (result !== undefined) return result.slice()
    if (partialBytes > 0) addSectors(partial.fill(0, partialBytes))
    while (position < sectors) {
      const run = runAt(position, sectors - position)
      addZeros(Math.log2(run))
    }
    // The right end of the tree: every set bit, smallest first, hashed leftwards.
    for (let height = 0; 2 ** height <= position; height++) {
      if (Math.floor(position / 2 ** height) % 2 === 0) continue
      const left = frontier[height] ?? zeroHash(height)
      result = result === undefined ? left : hasher.hashPairs(concatPair(left, result))
    }
    result ??= zeroHash(0)
    return result.slice()
  }

  return { push, root }
}

export declare namespace createRootBuilder {
  type Options = {
    sectors: number
    nodeHeight?: number
    onNodes?: (roots: Uint8Array, index: number) => void
  }
}

/** The biggest power of two, at most a segment, that is aligned at `position` and not over `available`. */
function runAt(position: number, available: number): number {
  let run = SEGMENT_SECTORS
  while (run > available || position % run !== 0) run /= 2
  return run
}
