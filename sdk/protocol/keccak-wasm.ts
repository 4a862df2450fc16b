import { KECCAK_SIMD_BASE64 } from './keccak.wasm.ts'
import { SECTOR_BYTES, SEGMENT_BYTES } from './layout.ts'
import { compileFirst, createWasmMemory, WASM_BUFFER_START } from './wasm-module.ts'

const HASH_BYTES = 32
const PAIR_BYTES = 2 * HASH_BYTES

type Kernel = (input: number, output: number, count: number) => void
type Exports = { hashSectors: Kernel; hashPairs: Kernel }

/** The two bulk hashes of a tree. `out` has room for the result; for pairs it may be the input itself. */
export type TreeKernels = {
  hashSectors(data: Uint8Array, out: Uint8Array): void
  hashPairs(level: Uint8Array, out: Uint8Array): void
}

/** SIMD kernels that hash two messages at a time; undefined where the platform has no WASM SIMD. */
export async function loadTreeKernels(): Promise<TreeKernels | undefined> {
  const module = await compileFirst([KECCAK_SIMD_BASE64])
  if (module === undefined) return undefined
  const outputAt = WASM_BUFFER_START + SEGMENT_BYTES
  const memory = createWasmMemory(outputAt + SEGMENT_BYTES / 2)
  // The exports are those of wasm/keccak.ts, which the build compiled into this module.
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports
  const input = new Uint8Array(memory.buffer, WASM_BUFFER_START, SEGMENT_BYTES)
  const output = new Uint8Array(memory.buffer, outputAt, SEGMENT_BYTES / 2)

  /** A segment's worth of messages at a time; the last one is filled up with zeros. */
  function hashAll(kernel: Kernel, messageBytes: number, data: Uint8Array, out: Uint8Array): void {
    let written = 0
    for (let start = 0; start < data.length; start += SEGMENT_BYTES) {
      const part = data.subarray(start, start + SEGMENT_BYTES)
      const count = Math.ceil(part.length / messageBytes)
      input.set(part)
      input.fill(0, part.length, count * messageBytes)
      kernel(WASM_BUFFER_START, outputAt, count)
      out.set(output.subarray(0, count * HASH_BYTES), written)
      written += count * HASH_BYTES
    }
  }

  return {
    hashSectors: (data, out) => hashAll(kernels.hashSectors, SECTOR_BYTES, data, out),
    hashPairs: (level, out) => hashAll(kernels.hashPairs, PAIR_BYTES, level, out),
  }
}
