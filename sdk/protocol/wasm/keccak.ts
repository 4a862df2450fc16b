// keccak256 of two messages at a time: each v128 holds the same lane of both states (FIPS 202, padding 0x01 as in Ethereum).
// AssemblyScript, compiled by scripts/build-erasure-wasm.mjs. Only the two fixed message sizes of Merkle trees are here.

const LANES: i32 = 25
const RATE_LANES: i32 = 17

const STATE = memory.data(LANES * 16, 16)
const ROUND_CONSTANTS = memory.data<u64>([
  0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
  0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
  0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
  0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
])

/** Hashes `count` sectors of 256 B at `input` to 32 B each at `output`. */
export function hashSectors(input: usize, output: usize, count: i32): void {
  for (let i = 0; i < count; i += 2) {
    const a = input + (<usize>i << 8)
    const b = i + 1 < count ? a + 256 : a
    clear()
    absorb(a, b, RATE_LANES)
    permute()
    absorb(a + 136, b + 136, 15)
    finish(15)
    squeeze(output + (<usize>i << 5), i + 1 < count)
  }
}

/** Hashes `count` pairs of 64 B at `input` to 32 B each at `output`, which may be `input`. */
export function hashPairs(input: usize, output: usize, count: i32): void {
  for (let i = 0; i < count; i += 2) {
    const a = input + (<usize>i << 6)
    const b = i + 1 < count ? a + 64 : a
    clear()
    absorb(a, b, 8)
    finish(8)
    squeeze(output + (<usize>i << 5), i + 1 < count)
  }
}

function clear(): void {
  memory.fill(STATE, 0, LANES * 16)
}

// @ts-ignore: decorator
@inline
function absorb(a: usize, b: usize, lanes: i32): void {
  for (let i = 0; i < lanes; i++) {
    const at = STATE + (<usize>i << 4)
    const lane = v128.load64_lane(b + (<usize>i << 3), v128.load64_zero(a + (<usize>i << 3)), 1)
    v128.store(at, v128.xor(v128.load(at), lane))
  }
}

/** Pads after `lanes` whole lanes and permutes. */
function finish(lanes: i32): void {
  const start = STATE + (<usize>lanes << 4)
  v128.store(start, v128.xor(v128.load(start), i64x2.splat(1)))
  const end = STATE + (<usize>(RATE_LANES - 1) << 4)
  v128.store(end, v128.xor(v128.load(end), i64x2.splat(0x8000000000000000)))
  permute()
}

function squeeze(output: usize, both: bool): void {
  for (let i: usize = 0; i < 4; i++) {
    const lane = v128.load(STATE + (i << 4))
    v128.store64_lane(output + (i << 3), lane, 0)
    if (both) v128.store64_lane(output + 32 + (i << 3), lane, 1)
  }
}

// @ts-ignore: decorator
@inline
function rotl(x: v128, bits: i32): v128 {
  return v128.or(i64x2.shl(x, bits), i64x2.shr_u(x, 64 - bits))
}

// @ts-ignore: decorator
@inline
function xor5(a: v128, b: v128, c: v128, d: v128, e: v128): v128 {
  return v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), e)
}

/** Keccak-f[1600] on both states. */
function permute(): void {
  let a0 = v128.load(STATE, 0)
  let a1 = v128.load(STATE, 16)
  let a2 = v128.load(STATE, 32)
  let a3 = v128.load(STATE, 48)
  let a4 = v128.load(STATE, 64)
  let a5 = v128.load(STATE, 80)
  let a6 = v128.load(STATE, 96)
  let a7 = v128.load(STATE, 112)
  let a8 = v128.load(STATE, 128)
  let a9 = v128.load(STATE, 144)
  let a10 = v128.load(STATE, 160)
  let a11 = v128.load(STATE, 176)
  let a12 = v128.load(STATE, 192)
  let a13 = v128.load(STATE, 208)
  let a14 = v128.load(STATE, 224)
  let a15 = v128.load(STATE, 240)
  let a16 = v128.load(STATE, 256)
  let a17 = v128.load(STATE, 272)
  let a18 = v128.load(STATE, 288)
  let a19 = v128.load(STATE, 304)
  let a20 = v128.load(STATE, 320)
  let a21 = v128.load(STATE, 336)
  let a22 = v128.load(STATE, 352)
  let a23 = v128.load(STATE, 368)
  let a24 = v128.load(STATE, 384)
  for (let round: usize = 0; round < 24; round++) {
    const c0 = xor5(a0, a5, a10, a15, a20)
    const c1 = xor5(a1, a6, a11, a16, a21)
    const c2 = xor5(a2, a7, a12, a17, a22)
    const c3 = xor5(a3, a8, a13, a18, a23)
    const c4 = xor5(a4, a9, a14, a19, a24)
    const d0 = v128.xor(c4, rotl(c1, 1))
    const d1 = v128.xor(c0, rotl(c2, 1))
    const d2 = v128.xor(c1, rotl(c3, 1))
    const d3 = v128.xor(c2, rotl(c4, 1))
    const d4 = v128.xor(c3, rotl(c0, 1))
    const b0 = v128.xor(a0, d0)
    const b1 = rotl(v128.xor(a6, d1), 44)
    const b2 = rotl(v128.xor(a12, d2), 43)
    const b3 = rotl(v128.xor(a18, d3), 21)
    const b4 = rotl(v128.xor(a24, d4), 14)
    const b5 = rotl(v128.xor(a3, d3), 28)
    const b6 = rotl(v128.xor(a9, d4), 20)
    const b7 = rotl(v128.xor(a10, d0), 3)
    const b8 = rotl(v128.xor(a16, d1), 45)
    const b9 = rotl(v128.xor(a22, d2), 61)
    const b10 = rotl(v128.xor(a1, d1), 1)
    const b11 = rotl(v128.xor(a7, d2), 6)
    const b12 = rotl(v128.xor(a13, d3), 25)
    const b13 = rotl(v128.xor(a19, d4), 8)
    const b14 = rotl(v128.xor(a20, d0), 18)
    const b15 = rotl(v128.xor(a4, d4), 27)
    const b16 = rotl(v128.xor(a5, d0), 36)
    const b17 = rotl(v128.xor(a11, d1), 10)
    const b18 = rotl(v128.xor(a17, d2), 15)
    const b19 = rotl(v128.xor(a23, d3), 56)
    const b20 = rotl(v128.xor(a2, d2), 62)
    const b21 = rotl(v128.xor(a8, d3), 55)
    const b22 = rotl(v128.xor(a14, d4), 39)
    const b23 = rotl(v128.xor(a15, d0), 41)
    const b24 = rotl(v128.xor(a21, d1), 2)
    a0 = v128.xor(v128.xor(b0, v128.andnot(b2, b1)), v128.load64_splat(ROUND_CONSTANTS + (round << 3)))
    a1 = v128.xor(b1, v128.andnot(b3, b2))
    a2 = v128.xor(b2, v128.andnot(b4, b3))
    a3 = v128.xor(b3, v128.andnot(b0, b4))
    a4 = v128.xor(b4, v128.andnot(b1, b0))
    a5 = v128.xor(b5, v128.andnot(b7, b6))
    a6 = v128.xor(b6, v128.andnot(b8, b7))
    a7 = v128.xor(b7, v128.andnot(b9, b8))
    a8 = v128.xor(b8, v128.andnot(b5, b9))
    a9 = v128.xor(b9, v128.andnot(b6, b5))
    a10 = v128.xor(b10, v128.andnot(b12, b11))
    a11 = v128.xor(b11, v128.andnot(b13, b12))
    a12 = v128.xor(b12, v128.andnot(b14, b13))
    a13 = v128.xor(b13, v128.andnot(b10, b14))
    a14 = v128.xor(b14, v128.andnot(b11, b10))
    a15 = v128.xor(b15, v128.andnot(b17, b16))
    a16 = v128.xor(b16, v128.andnot(b18, b17))
    a17 = v128.xor(b17, v128.andnot(b19, b18))
    a18 = v128.xor(b18, v128.andnot(b15, b19))
    a19 = v128.xor(b19, v128.andnot(b16, b15))
    a20 = v128.xor(b20, v128.andnot(b22, b21))
    a21 = v128.xor(b21, v128.andnot(b23, b22))
    a22 = v128.xor(b22, v128.andnot(b24, b23))
    a23 = v128.xor(b23, v128.andnot(b20, b24))
    a24 = v128.xor(b24, v128.andnot(b21, b20))
  }
  v128.store(STATE, a0, 0)
  v128.store(STATE, a1, 16)
  v128.store(STATE, a2, 32)
  v128.store(STATE, a3, 48)
  v128.store(STATE, a4, 64)
  v128.store(STATE, a5, 80)
  v128.store(STATE, a6, 96)
  v128.store(STATE, a7, 112)
  v128.store(STATE, a8, 128)
  v128.store(STATE, a9, 144)
  v128.store(STATE, a10, 160)
  v128.store(STATE, a11, 176)
  v128.store(STATE, a12, 192)
  v128.store(STATE, a13, 208)
  v128.store(STATE, a14, 224)
  v128.store(STATE, a15, 240)
  v128.store(STATE, a16, 256)
  v128.store(STATE, a17, 272)
  v128.store(STATE, a18, 288)
  v128.store(STATE, a19, 304)
  v128.store(STATE, a20, 320)
  v128.store(STATE, a21, 336)
  v128.store(STATE, a22, 352)
  v128.store(STATE, a23, 368)
  v128.store(STATE, a24, 384)
}
