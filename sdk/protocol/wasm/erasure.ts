// Linear combinations over GF(2^8) by nibble tables (16 products of each half byte, looked up with a swizzle).
// AssemblyScript, compiled by scripts/build-erasure-wasm.mjs, with and without relaxed SIMD.
//
// `tables`: for each input, for each row, 16 products of the low and 16 of the high nibble. `inputs` and `outputs` lie
// `stride` bytes apart each. `length` is a multiple of 16. Each kernel makes a fixed number of rows in one pass over the inputs.

// @ts-ignore: decorator
@inline
function swizzle(table: v128, index: v128): v128 {
  // The index is below 16, so the relaxed form is exact on every machine.
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, index)
  return i8x16.swizzle(table, index)
}

// @ts-ignore: decorator
@inline
function product(table: usize, low: v128, high: v128): v128 {
  return v128.xor(swizzle(v128.load(table), low), swizzle(v128.load(table, 16), high))
}

/** 8 rows. */
export function combine8(tables: usize, inputs: usize, inputStride: usize, count: i32, outputs: usize, outputStride: usize, length: usize): void {
  const mask = i8x16.splat(0x0f)
  for (let offset: usize = 0; offset < length; offset += 16) {
    let table = tables
    let source = inputs + offset
    let r0 = i64x2.splat(0)
    let r1 = i64x2.splat(0)
    let r2 = i64x2.splat(0)
    let r3 = i64x2.splat(0)
    let r4 = i64x2.splat(0)
    let r5 = i64x2.splat(0)
    let r6 = i64x2.splat(0)
    let r7 = i64x2.splat(0)
    for (let i = 0; i < count; i++) {
      const bytes = v128.load(source)
      const low = v128.and(bytes, mask)
      const high = i8x16.shr_u(bytes, 4)
      r0 = v128.xor(r0, product(table, low, high))
      r1 = v128.xor(r1, product(table + 32, low, high))
      r2 = v128.xor(r2, product(table + 64, low, high))
      r3 = v128.xor(r3, product(table + 96, low, high))
      r4 = v128.xor(r4, product(table + 128, low, high))
      r5 = v128.xor(r5, product(table + 160, low, high))
      r6 = v128.xor(r6, product(table + 192, low, high))
      r7 = v128.xor(r7, product(table + 224, low, high))
      table += 256
      source += inputStride
    }
    let target = outputs + offset
    v128.store(target, r0)
    target += outputStride
    v128.store(target, r1)
    target += outputStride
    v128.store(target, r2)
    target += outputStride
    v128.store(target, r3)
    target += outputStride
    v128.store(target, r4)
    target += outputStride
    v128.store(target, r5)
    target += outputStride
    v128.store(target, r6)
    target += outputStride
    v128.store(target, r7)
  }
}

/** 4 rows. */
export function combine4(tables: usize, inputs: usize, inputStride: usize, count: i32, outputs: usize, outputStride: usize, length: usize): void {
  const mask = i8x16.splat(0x0f)
  for (let offset: usize = 0; offset < length; offset += 16) {
    let table = tables
    let source = inputs + offset
    let r0 = i64x2.splat(0)
    let r1 = i64x2.splat(0)
    let r2 = i64x2.splat(0)
    let r3 = i64x2.splat(0)
    for (let i = 0; i < count; i++) {
      const bytes = v128.load(source)
      const low = v128.and(bytes, mask)
      const high = i8x16.shr_u(bytes, 4)
      r0 = v128.xor(r0, product(table, low, high))
      r1 = v128.xor(r1, product(table + 32, low, high))
      r2 = v128.xor(r2, product(table + 64, low, high))
      r3 = v128.xor(r3, product(table + 96, low, high))
      table += 128
      source += inputStride
    }
    let target = outputs + offset
    v128.store(target, r0)
    target += outputStride
    v128.store(target, r1)
    target += outputStride
    v128.store(target, r2)
    target += outputStride
    v128.store(target, r3)
  }
}

/** 1 row. */
export function combine1(tables: usize, inputs: usize, inputStride: usize, count: i32, outputs: usize, outputStride: usize, length: usize): void {
  const mask = i8x16.splat(0x0f)
  for (let offset: usize = 0; offset < length; offset += 16) {
    let table = tables
    let source = inputs + offset
    let r0 = i64x2.splat(0)
    for (let i = 0; i < count; i++) {
      const bytes = v128.load(source)
      const low = v128.and(bytes, mask)
      const high = i8x16.shr_u(bytes, 4)
      r0 = v128.xor(r0, product(table, low, high))
      table += 32
      source += inputStride
    }
    let target = outputs + offset
    v128.store(target, r0)
  }
}
