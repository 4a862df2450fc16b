/** Bytes that a vector can name: one value throughout, i mod 251, or a generator seeded with a number. */
export type Content = { byteLength: number; fill: number | 'mod251' | { seed: number } }

export function contentOf({ byteLength, fill }: Content): Uint8Array {
  if (typeof fill === 'number') return new Uint8Array(byteLength).fill(fill)
  if (fill === 'mod251') return Uint8Array.from({ length: byteLength }, (_, i) => i % 251)
  return randomBytes(byteLength, fill.seed)
}

/** The same bytes for the same seed on every machine (xorshift32). */
export function randomBytes(byteLength: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(byteLength)
  // A multiplicative step spreads small seeds; zero is the one state that xorshift cannot leave.
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  for (let i = 0; i < byteLength; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 24
  }
  return bytes
}
