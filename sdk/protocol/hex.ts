import { ZerogError } from './errors.ts'

const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hex of `bytes`, with 0x. */
export function toHex(bytes: Uint8Array): string {
  let hex = '0x'
  for (const byte of bytes) hex += HEX_OF_BYTE[byte]
  return hex
}

/** Bytes of 0x-hex, of exactly `byteLength` bytes when given. Throws BAD_HEX. */
export function fromHex(hex: string, byteLength?: number): Uint8Array {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(hex))
    throw new ZerogError('BAD_HEX', 'not an even number of hex digits after 0x')
  const bytes = new Uint8Array(hex.length / 2 - 1)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 + 2 * i, 4 + 2 * i), 16)
  if (byteLength !== undefined && bytes.length !== byteLength) {
    throw new ZerogError('BAD_HEX', `expected ${byteLength} bytes of hex, got ${bytes.length}`)
  }
  return bytes
}

/** Whether two byte strings are equal. Not constant in time: for public values only. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
