import { bls12_381 } from '@noble/curves/bls12-381.js'
import { getBytes, toBeHex } from 'ethers'
import { FP_ORDER } from '../../sdk/protocol/fp.ts'

const { Fp } = bls12_381.fields

/** x and y of a G1 point on the curve but outside of the subgroup, the one with the `index`th smallest x. */
export function outsidePoint(index: number): { x: bigint; y: bigint } {
  let left = index
  for (let x = 0n; ; x++) {
    const side = Fp.add(Fp.pow(x, 3n), 4n)
    if (!Fp.eql(Fp.pow(side, (FP_ORDER - 1n) / 2n), Fp.ONE)) continue
    const y = Fp.sqrt(side)
    if (!bls12_381.G1.Point.fromAffine({ x, y }).isTorsionFree() && left-- === 0) return { x, y }
  }
}

/** 48 bytes that are well-formed, yet no point of the curve has their x. */
export function withoutPoint(): Uint8Array {
  for (let x = 1n; ; x++) {
    const side = Fp.add(Fp.pow(x, 3n), 4n)
    if (Fp.eql(Fp.pow(side, (FP_ORDER - 1n) / 2n), Fp.ONE)) continue
    return flagged(x, 0x80)
  }
}

/** 48 bytes: x with these flags in its first byte. */
export function flagged(x: bigint, flags: number): Uint8Array {
  const bytes = getBytes(toBeHex(x, 48))
  bytes[0] = (bytes[0] ?? 0) | flags
  return bytes
}

/** Uncompressed bytes of a G1 point, by hand. */
export function g1Bytes({ x, y }: { x: bigint; y: bigint }): Uint8Array {
  return getBytes(toBeHex((x << 512n) | y, 128))
}
