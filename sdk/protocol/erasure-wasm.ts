import { createErasureEngine, type ErasureEngine, referenceErasure, type Stripe } from './erasure.ts'
import { ERASURE_RELAXED_SIMD_BASE64, ERASURE_SIMD_BASE64 } from './erasure.wasm.ts'
import type { GfMatrix } from './erasure-matrix.ts'
import { gfMul } from './gf256.ts'
import { compileFirst, createWasmMemory, WASM_BUFFER_START } from './wasm-module.ts'

/** Rows a kernel makes in one pass, most first. */
const KERNEL_ROWS = [8, 4, 1] as const
/** Table bytes for one coefficient: 16 products of the low nibble, 16 of the high one. */
const TABLE_BYTES = 32
/** Bytes of a vector: what a kernel handles at a time. */
const VECTOR_BYTES = 16
/** Keeps buffers off each other's cache sets: at a distance of a power of two they would evict one another. */
const STAGGER_BYTES = 256

type Kernel = (
  tables: number,
  inputs: number,
  inputStride: number,
  count: number,
  outputs: number,
  outputStride: number,
  length: number,
) => void
type Exports = Record<`combine${(typeof KERNEL_ROWS)[number]}`, Kernel>

const loading = new Map<string, Promise<ErasureEngine>>()

/** The fastest engine that runs here: relaxed SIMD, plain SIMD or the plain TypeScript reference. */
export function loadErasureEngine(): Promise<ErasureEngine> {
  return cached('best', async () => {
    const relaxed = await loadVariant('wasm-relaxed-simd', ERASURE_RELAXED_SIMD_BASE64)
    return relaxed ?? (await loadVariant('wasm-simd', ERASURE_SIMD_BASE64)) ?? referenceErasure
  })
}

/** The engine without relaxed SIMD, or the reference: for platforms and tests that must not use the relaxed form. */
export function loadPlainSimdEngine(): Promise<ErasureEngine> {
  return cached(
    'plain',
    async () => (await loadVariant('wasm-simd', ERASURE_SIMD_BASE64)) ?? referenceErasure,
  )
}

function cached(key: string, load: () => Promise<ErasureEngine>): Promise<ErasureEngine> {
  const engine = loading.get(key) ?? load()
  loading.set(key, engine)
  return engine
}

async function loadVariant(name: string, base64: string): Promise<ErasureEngine | undefined> {
  const module = await compileFirst([base64])
  return module && createErasureEngine(name, (options) => createWasmStripe(module, options))
}

function createWasmStripe(
  module: WebAssembly.Module,
  { matrix, stripeBytes }: { matrix: GfMatrix; stripeBytes: number },
): Stripe {
  const count = matrix[0]?.length ?? 0
  const stride = roundUp(stripeBytes) + STAGGER_BYTES
  const tablesBytes = matrix.length * count * TABLE_BYTES
  const inputsAt = WASM_BUFFER_START + tablesBytes
  const outputsAt = inputsAt + count * stride
  const memory = createWasmMemory(outputsAt + matrix.length * stride)
  // The exports are those of wasm/erasure.ts, which the build compiled into this module.
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports
  const passes = planPasses(matrix.length)
  const tables = new Uint8Array(memory.buffer, WASM_BUFFER_START, tablesBytes)
  for (const { first, rows } of passes) {
    writeTables(tables.subarray(first * count * TABLE_BYTES), matrix.slice(first, first + rows))
  }
  const views = (start: number, length: number) =>
    Array.from({ length }, (_, i) => new Uint8Array(memory.buffer, start + i * stride, stripeBytes))

  return {
    inputs: views(inputsAt, count),
    outputs: views(outputsAt, matrix.length),
    run(byteLength = stripeBytes) {
      const length = roundUp(Math.min(byteLength, stripeBytes))
      for (const { first, rows } of passes) {
        const tablesAt = WASM_BUFFER_START + first * count * TABLE_BYTES
        kernels[`combine${rows}`](
          tablesAt,
          inputsAt,
          stride,
          count,
          outputsAt + first * stride,
          stride,
          length,
        )
      }
    },
  }
}

/** Which kernel makes which rows. */
function planPasses(rowCount: number): { first: number; rows: (typeof KERNEL_ROWS)[number] }[] {
  const passes: { first: number; rows: (typeof KERNEL_ROWS)[number] }[] = []
  let first = 0
  for (const rows of KERNEL_ROWS) {
    for (; rowCount - first >= rows; first += rows) passes.push({ first, rows })
  }
  return passes
}

/** For each input, for each row: products of the coefficient with 0 to 15, then with 0x00, 0x10 to 0xf0. */
function writeTables(target: Uint8Array, rows: GfMatrix): void {
  let at = 0
  for (let input = 0; input < (rows[0]?.length ?? 0); input++) {
    for (const row of rows) {
      const factor = row[input] ?? 0
      for (let nibble = 0; nibble < 16; nibble++) {
        target[at + nibble] = gfMul(factor, nibble)
        target[at + 16 + nibble] = gfMul(factor, nibble << 4)
      }
      at += TABLE_BYTES
    }
  }
}

function roundUp(byteLength: number): number {
  return Math.ceil(byteLength / VECTOR_BYTES) * VECTOR_BYTES
}
