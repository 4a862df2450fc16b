import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deflateSync } from 'node:zlib'
import { parsePng } from '../../../agents/cli/png.ts'

/** 9 x 7 pixels of {@link colourAt}, written by a browser's canvas: filtered rows of red, green, blue and alpha. */
const OPAQUE =
  'iVBORw0KGgoAAAANSUhEUgAAAAkAAAAHCAYAAADam2dgAAAAX0lEQVR4AdTKvQ1AQAAF4JfTKtz/XSwg0ShsoNRINAob0FnADnRGobCLxhbPHPpPoOiYlD3TemTeTKyGle1ycN4vbufD+80opJRQSkFrDWMMrLVwzsF7jxACYoz4LfoAAAD//5PWAakAAAAGSURBVAMAtLwgtLG+5uAAAAAASUVORK5CYII='
/** The same with transparent pixels from the fifth column on. */
const HALF_CLEAR =
  'iVBORw0KGgoAAAANSUhEUgAAAAkAAAAHCAYAAADam2dgAAAARklEQVR4AdTKqw3AIBQF0Btqa95PdYEmNRXdoAuQYBBswBJsfvFswNEn4c48nsLza7z+zrcOYpFEBKoKM4O7IyKWAmybJgAAAP//WUS4wwAAAAZJREFUAwA6XA8eMcWF0wAAAABJRU5ErkJggg=='

const colourAt = (x: number, y: number, channel: number) => (x * x * 3 + y * 17 + channel * 40 + x * y) % 256

function pixels(width: number, height: number, at: (x: number, y: number, channel: number) => number) {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3)
    return at(pixel % width, Math.floor(pixel / width), i % 3)
  })
}

type Head = { width: number; height: number; depth: number; colour: number; interlace?: number }

/** A PNG of rows that begin with their filter. Nobody looks at the checksums. */
function makePng(
  { width, height, depth, colour, interlace = 0 }: Head,
  rows: number[],
  palette?: number[],
): Buffer {
  const chunk = (name: string, body: Uint8Array) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(body.length)
    return Buffer.concat([length, Buffer.from(name, 'latin1'), body, Buffer.alloc(4)])
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([depth, colour, 0, 0, interlace], 8)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    ...(palette ? [chunk('PLTE', Uint8Array.from(palette))] : []),
    chunk('IDAT', deflateSync(Uint8Array.from(rows))),
    chunk('IEND', new Uint8Array()),
  ])
}

describe('parsePng', () => {
  it('default: what a browser wrote', () => {
    const { width, height, channels, samples } = parsePng(Buffer.from(OPAQUE, 'base64'))
    assert.deepEqual([width, height, channels], [9, 7, 3])
    assert.deepEqual(samples, pixels(9, 7, colourAt))
  })

  it('behavior: what is transparent is white', () => {
    const { samples } = parsePng(Buffer.from(HALF_CLEAR, 'base64'))
    assert.deepEqual(
      samples,
      pixels(9, 7, (x, y, channel) => (x > 4 ? 255 : colourAt(x, y, channel))),
    )
  })

  it('behavior: every filter', () => {
    // Each row holds 10, 20, 30 before its filter.
    const rows = [
      ...[0, 10, 20, 30],
      ...[1, 10, 10, 10],
      ...[2, 0, 0, 0],
      // Half of left and up: (0 + 10) / 2, (10 + 20) / 2, (20 + 30) / 2.
      ...[3, 5, 5, 5],
      // The nearest of left, up and corner to their sum: up each time.
      ...[4, 0, 0, 0],
    ]
    const { samples } = parsePng(makePng({ width: 3, height: 5, depth: 8, colour: 0 }, rows))
    assert.deepEqual([...samples], Array.from({ length: 5 }, () => [10, 20, 30]).flat())
  })

  it('behavior: a palette, and greys of one bit', () => {
    const palette = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    const indexed = parsePng(makePng({ width: 3, height: 1, depth: 8, colour: 3 }, [0, 2, 0, 1], palette))
    assert.deepEqual([...indexed.samples], [7, 8, 9, 1, 2, 3, 4, 5, 6])
    const packed = parsePng(
      makePng({ width: 10, height: 1, depth: 1, colour: 0 }, [0, 0b10100000, 0b01000000]),
    )
    assert.deepEqual([...packed.samples], [255, 0, 255, 0, 0, 0, 0, 0, 0, 255])
  })

  const good: Head = { width: 1, height: 1, depth: 8, colour: 0 }
  const bad: [name: string, bytes: Uint8Array][] = [
    ['no PNG', Buffer.from('GIF89a')],
    ['cut short', makePng(good, [0, 1]).subarray(0, 40)],
    ['interlaced', makePng({ ...good, interlace: 1 }, [0, 1])],
    ['16 bits a sample', makePng({ ...good, depth: 16 }, [0, 1, 1])],
    ['too few pixels', makePng({ ...good, width: 2 }, [0, 1])],
    ['more pixels than it says', makePng(good, [0, 1, 2, 3])],
    ['an unknown filter', makePng(good, [9, 1])],
    ['no pixels', makePng({ ...good, width: 0 }, [0])],
    ['pixels without end', makePng({ ...good, width: 100_000, height: 100_000 }, [0])],
  ]
  for (const [name, bytes] of bad) {
    it(`error: ${name}`, () => assert.throws(() => parsePng(bytes), { code: 'COMPUTE_INPUT_INVALID' }))
  }
})
