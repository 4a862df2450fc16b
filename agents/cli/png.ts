import { inflateSync } from 'node:zlib'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A picture of 8 bits a sample: grey (1 channel) or red, green, blue (3), row by row. */
export type Picture = {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
  readonly samples: Uint8Array
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
/** Samples a pixel by colour type: grey, RGB, palette, grey and alpha, RGBA. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
const MAX_PIXELS = 1 << 26

/**
 * Reads a PNG of 8 bits a sample (palettes and greys of 1 to 8 bits) that is not interlaced; transparency is laid on white.
 * https://www.w3.org/TR/png-3/
 *
 * Errors: COMPUTE_INPUT_INVALID.
 */
export function parsePng(bytes: Uint8Array): Picture {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) throw invalid('it is no PNG')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: Uint8Array[] = []
  let head: Uint8Array | undefined
  let palette: Uint8Array = new Uint8Array()
  for (let offset = 8; offset + 12 <= bytes.length; ) {
    const length = view.getUint32(offset)
    const name = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8))
    const body = bytes.subarray(offset + 8, offset + 8 + length)
    if (body.length !== length) throw invalid('it is cut short')
    if (name === 'IHDR') head = body
    if (name === 'PLTE') palette = body
    if (name === 'IDAT') parts.push(body)
    if (name === 'IEND') break
    offset += 12 + length
  }
  if (head === undefined || head.length !== 13) throw invalid('it has no header')
  const header = new DataView(head.buffer, head.byteOffset, 13)
  const [width, height] = [header.getUint32(0), header.getUint32(4)]
  const [depth, colour, interlace] = [header.getUint8(8), header.getUint8(9), header.getUint8(12)]
  const perPixel = SAMPLES[colour]
  const isPacked = (colour === 0 || colour === 3) && [1, 2, 4].includes(depth)
  if (perPixel === undefined || (depth !== 8 && !isPacked) || interlace !== 0)
    throw invalid('only PNGs of 8 bits a sample, not interlaced, are read')
  if (width * height === 0 || width * height > MAX_PIXELS) throw invalid(`it has ${width} x ${height} pixels`)

  const rowBytes = Math.ceil((width * perPixel * depth) / 8)
  const raw = inflate(parts, height * (rowBytes + 1))
  const rows = unfilter(raw, { rowBytes, height, pixelBytes: Math.max(1, (perPixel * depth) >> 3) })
  const sample = (x: number, y: number, channel: number): number => {
    const i = x * perPixel + channel
    if (depth === 8) return rows[y * rowBytes + i] ?? 0
    const shift = 8 - depth - ((i * depth) & 7)
    return ((rows[y * rowBytes + ((i * depth) >> 3)] ?? 0) >> shift) & ((1 << depth) - 1)
  }
  const channels = colour === 0 || colour === 4 ? 1 : 3
  const samples = new Uint8Array(width * height * channels)
  const isTransparent = colour === 4 || colour === 6
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const alpha = isTransparent ? sample(x, y, perPixel - 1) / 255 : 1
      for (let channel = 0; channel < channels; channel++) {
        const value =
          colour === 3
            ? (palette[sample(x, y, 0) * 3 + channel] ?? 0)
            : colour === 0
              ? (sample(x, y, 0) * 255) / ((1 << depth) - 1)
              : sample(x, y, channel)
        samples[(y * width + x) * channels + channel] = Math.round(value * alpha + 255 * (1 - alpha))
      }
    }
  }
  return { width, height, channels, samples }
}

/** What is longer than it may be is not unpacked. */
function inflate(parts: readonly Uint8Array[], length: number): Uint8Array {
  try {
    const raw = inflateSync(Buffer.concat(parts), { maxOutputLength: length })
    if (raw.length === length) return raw
  } catch (cause) {
    throw invalid('its pixels cannot be unpacked', cause)
  }
  throw invalid('it has too few pixels')
}

/** Undoes the filters of the rows. */
function unfilter(
  raw: Uint8Array,
  { rowBytes, height, pixelBytes }: { rowBytes: number; height: number; pixelBytes: number },
): Uint8Array {
  const rows = new Uint8Array(rowBytes * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (rowBytes + 1)] ?? 0
    for (let i = 0; i < rowBytes; i++) {
      const at = y * rowBytes + i
      const left = i < pixelBytes ? 0 : (rows[at - pixelBytes] ?? 0)
      const up = y === 0 ? 0 : (rows[at - rowBytes] ?? 0)
      const corner = y === 0 || i < pixelBytes ? 0 : (rows[at - rowBytes - pixelBytes] ?? 0)
      const guess = predict(filter, left, up, corner)
      if (guess === undefined) throw invalid(`row ${y} has no known filter`)
      rows[at] = (raw[y * (rowBytes + 1) + 1 + i] ?? 0) + guess
    }
  }
  return rows
}

function predict(filter: number, left: number, up: number, corner: number): number | undefined {
  switch (filter) {
    case 0:
      return 0
    case 1:
      return left
    case 2:
      return up
    case 3:
      return (left + up) >> 1
    case 4: {
      const estimate = left + up - corner
      const [a, b, c] = [left, up, corner].map((value) => Math.abs(estimate - value)) as [
        number,
        number,
        number,
      ]
      if (a <= b && a <= c) return left
      return b <= c ? up : corner
    }
    default:
      return undefined
  }
}

function invalid(problem: string, cause?: unknown): ZerogError {
  return new ZerogError('COMPUTE_INPUT_INVALID', `the image cannot be used: ${problem}`, { cause })
}
