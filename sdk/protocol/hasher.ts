// Not ethers: threads that only hash would load it for nothing.
import { keccak_256 } from '@noble/hashes/sha3.js'
import { createKeccak } from 'hash-wasm'
import { ZerogError } from './errors.ts'
import { loadTreeKernels } from './keccak-wasm.ts'
import { SECTOR_BYTES } from './layout.ts'

/** Bytes of a hash. */
export const HASH_BYTES = 32

/** keccak256 in the three shapes that trees need. Engines share this type and must agree with {@link referenceHasher}. */
export type Hasher = {
  readonly name: string
  keccak256(bytes: Uint8Array): Uint8Array
  /** 32 B for each 256-B sector of `data`; the last one is filled up with zeros. Writes to `out` when given. */
  hashSectors(data: Uint8Array, out?: Uint8Array): Uint8Array
  /** 32 B for each 64-B pair of `level`, whose length is a multiple of 64. `out` may be `level` itself. */
  hashPairs(level: Uint8Array, out?: Uint8Array): Uint8Array
}

/** Plain TypeScript: slow, and what the engines are held against. */
export const referenceHasher: Hasher = fromDigest('reference', (bytes) => keccak_256(bytes))

let loading: Promise<Hasher> | undefined

/**
 * The fastest engine that runs here: SIMD kernels for trees, else hash-wasm alone. One instance serves the whole thread; its calls are
 * synchronous.
 */
export function loadHasher(): Promise<Hasher> {
  loading ??= load()
  return loading
}

/** The engine for platforms without WASM SIMD: hash-wasm, one message at a time. */
export async function loadScalarHasher(): Promise<Hasher> {
  const keccak = await createKeccak(256)
  return fromDigest('hash-wasm', (bytes) => keccak.init().update(bytes).digest('binary'))
}

async function load(): Promise<Hasher> {
  const [scalar, kernels] = await Promise.all([loadScalarHasher(), loadTreeKernels()])
  if (kernels === undefined) return scalar
  return {
    name: 'wasm-simd',
    keccak256: scalar.keccak256,
    hashSectors(data, out) {
      const target = hashTarget(Math.ceil(data.length / SECTOR_BYTES), out)
      kernels.hashSectors(data, target)
      return target
    },
    hashPairs(level, out) {
      const target = hashTarget(pairCount(level), out)
      kernels.hashPairs(level, target)
      return target
    },
  }
}

/** A hasher around a one-message function. */
function fromDigest(name: string, digest: (bytes: Uint8Array) => Uint8Array): Hasher {
  return {
    name,
    keccak256: digest,
    hashSectors(data, out) {
      const whole = Math.floor(data.length / SECTOR_BYTES)
      const target = hashTarget(Math.ceil(data.length / SECTOR_BYTES), out)
      for (let i = 0; i < whole; i++) {
        target.set(digest(data.subarray(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES)), i * HASH_BYTES)
      }
      if (whole * SECTOR_BYTES < data.length) {
        const last = new Uint8Array(SECTOR_BYTES)
        last.set(data.subarray(whole * SECTOR_BYTES))
        target.set(digest(last), whole * HASH_BYTES)
      }
      return target
    },
    hashPairs(level, out) {
      const pairs = pairCount(level)
      const target = hashTarget(pairs, out)
      for (let i = 0; i < pairs; i++) {
        target.set(digest(level.subarray(i * 2 * HASH_BYTES, (i + 1) * 2 * HASH_BYTES)), i * HASH_BYTES)
      }
      return target
    },
  }
}

function pairCount(level: Uint8Array): number {
  const pairs = level.length / (2 * HASH_BYTES)
  if (!Number.isInteger(pairs))
    throw new ZerogError('BAD_REQUEST', 'a level is a whole number of pairs of hashes')
  return pairs
}

function hashTarget(count: number, out?: Uint8Array): Uint8Array {
  const byteLength = count * HASH_BYTES
  if (out === undefined) return new Uint8Array(byteLength)
  if (out.length < byteLength) throw new ZerogError('BAD_REQUEST', `the output needs ${byteLength} bytes`)
  return out.subarray(0, byteLength)
}
