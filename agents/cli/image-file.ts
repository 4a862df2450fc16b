import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { GraphInput } from './graph-inputs.ts'
import { type Picture, parsePng } from './png.ts'

/** Reads a .png, .pgm (P5) or .ppm (P6) file. Errors: COMPUTE_INPUT_INVALID. */
export function readImage(bytes: Uint8Array): Picture {
  return bytes[0] === 0x89 ? parsePng(bytes) : parseNetpbm(bytes)
}

/** Binary PGM and PPM of at most 8 bits: https://netpbm.sourceforge.net/doc/pgm.html */
function parseNetpbm(bytes: Uint8Array): Picture {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, 1024))
  const space = String.raw`(?:\s|#[^\n]*\n)+`
  const found = new RegExp(`^P([56])${space}(\\d{1,6})${space}(\\d{1,6})${space}(\\d{1,5})\\s`).exec(head)
  const [all = '', form, width = 0, height = 0, most = 0] = (found ?? []).map((part, i) =>
    i < 2 ? part : Number(part),
  )
  const channels = form === '6' ? 3 : 1
  const [w, h, max] = [Number(width), Number(height), Number(most)]
  const start = String(all).length
  const samples = bytes.subarray(start, start + w * h * channels)
  if (found === null || max < 1 || max > 255 || w * h === 0 || samples.length !== w * h * channels)
    throw invalid('it is no binary PGM or PPM of 8 bits')
  return {
    ...{ width: w, height: h, channels },
    samples: Uint8Array.from(samples, (value) => Math.round((value * 255) / max)),
  }
}

/**
 * A picture as a graph takes it: [N, C, H, W] or [N, H, W, C], its size by bilinear interpolation where the graph names one;
 * floats are 0 to 1, integers 0 to 255. Errors: COMPUTE_INPUT_INVALID.
 */
export function fitImage(
  picture: Picture,
  { name, type, dims }: GraphInput,
): { dims: number[]; values: number[] } {
  const isLast = dims.length === 4 && (dims[3] === 1 || dims[3] === 3) && dims[1] !== 1 && dims[1] !== 3
  const [c, h, w] = isLast ? [dims[3], dims[1], dims[2]] : [dims[1], dims[2], dims[3]]
  if (dims.length !== 4 || (c !== 1 && c !== 3))
    throw invalid(`the model's input ${name} [${dims.join(', ')}] is no picture`)
  const width = typeof w === 'number' ? w : picture.width
  const height = typeof h === 'number' ? h : picture.height
  const channels = toChannels(picture, c)
  const scaled = channels.map((plane) => resize(plane, picture, { width, height }))
  const value = type.startsWith('float') ? (sample: number) => sample / 255 : Math.round
  const area = width * height
  const values = isLast
    ? Array.from({ length: area * c }, (_, i) => value(scaled[i % c]?.[Math.floor(i / c)] ?? 0))
    : scaled.flatMap((plane) => Array.from(plane, value))
  return { dims: isLast ? [1, height, width, c] : [1, c, height, width], values }
}

/** One plane a channel; grey is the luma of Rec. 601. */
function toChannels({ samples, channels }: Picture, wanted: 1 | 3): Float32Array[] {
  const count = samples.length / channels
  const plane = (at: (i: number) => number) => Float32Array.from({ length: count }, (_, i) => at(i))
  const sample = (i: number, channel: number) => samples[i * channels + (channels === 3 ? channel : 0)] ?? 0
  if (wanted === 3) return [0, 1, 2].map((channel) => plane((i) => sample(i, channel)))
  return [plane((i) => 0.299 * sample(i, 0) + 0.587 * sample(i, 1) + 0.114 * sample(i, 2))]
}

function resize(
  plane: Float32Array,
  from: { width: number; height: number },
  to: { width: number; height: number },
): Float32Array {
  if (from.width === to.width && from.height === to.height) return plane
  const at = (x: number, y: number) =>
    plane[
      Math.min(Math.max(y, 0), from.height - 1) * from.width + Math.min(Math.max(x, 0), from.width - 1)
    ] ?? 0
  const result = new Float32Array(to.width * to.height)
  for (let y = 0; y < to.height; y++) {
    const sourceY = ((y + 0.5) * from.height) / to.height - 0.5
    const y0 = Math.floor(sourceY)
    for (let x = 0; x < to.width; x++) {
      const sourceX = ((x + 0.5) * from.width) / to.width - 0.5
      const x0 = Math.floor(sourceX)
      const [fx, fy] = [sourceX - x0, sourceY - y0]
      const top = at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx
      const bottom = at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx
      result[y * to.width + x] = top * (1 - fy) + bottom * fy
    }
  }
  return result
}

function invalid(problem: string): ZerogError {
  return new ZerogError('COMPUTE_INPUT_INVALID', `the image cannot be used: ${problem}`)
}
