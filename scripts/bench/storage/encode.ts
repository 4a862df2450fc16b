import { createStripeEncoder, type ErasureEngine, referenceErasure } from '../../../sdk/protocol/erasure.ts'
import { loadErasureEngine } from '../../../sdk/protocol/erasure-wasm.ts'
import { type BenchCase, bestSeconds, MIB, shortNumber } from './bench-case.ts'

const CODE = { d: 16, m: 8 }
const STRIPE_BYTES = 16_384
/** Bytes of one run: a few milliseconds, so that the best of many runs is one that nothing interrupted. */
const WASM_BYTES = 16 * MIB
const REFERENCE_BYTES = MIB
const RUNS = 50
const TARGET = 20

/** Encodes 16 + 8 on one core, WebAssembly against plain TypeScript. */
export async function benchEncode(): Promise<BenchCase> {
  const engine = await loadErasureEngine()
  const wasm = await dataBytesPerSec(engine)
  const plain = await dataBytesPerSec(referenceErasure, REFERENCE_BYTES)
  const figure = wasm / plain
  return {
    name: 'erasure encode 16 + 8, one core',
    measured: `${shortNumber(wasm / MIB)} MiB/s (${engine.name})`,
    reference: `${shortNumber(plain / MIB)} MiB/s (plain TypeScript)`,
    figure,
    unit: 'x',
    target: `>= ${TARGET} x`,
    isReached: figure >= TARGET,
    details: { wasmBytesPerSec: wasm, plainBytesPerSec: plain, engine: engine.name },
  }
}

/** Bytes of data shards that one core encodes in a second. */
export async function dataBytesPerSec(engine: ErasureEngine, bytes = WASM_BYTES): Promise<number> {
  const { data, encode } = createStripeEncoder(engine, { ...CODE, stripeBytes: STRIPE_BYTES })
  for (const [i, input] of data.entries()) input.fill(i * 37 + 1)
  const rounds = Math.ceil(bytes / (CODE.d * STRIPE_BYTES))
  encode()
  const seconds = await bestSeconds(RUNS, () => {
    for (let round = 0; round < rounds; round++) encode()
  })
  return (rounds * CODE.d * STRIPE_BYTES) / seconds
}
