import { ZerogError } from '../../sdk/protocol/errors.ts'

type Reader = (view: DataView, offset: number, little: boolean) => number | bigint

const READERS: Readonly<Record<string, { size: number; read: Reader }>> = {
  f4: { size: 4, read: (view, offset, little) => view.getFloat32(offset, little) },
  f8: { size: 8, read: (view, offset, little) => view.getFloat64(offset, little) },
  i1: { size: 1, read: (view, offset) => view.getInt8(offset) },
  i2: { size: 2, read: (view, offset, little) => view.getInt16(offset, little) },
  i4: { size: 4, read: (view, offset, little) => view.getInt32(offset, little) },
  i8: { size: 8, read: (view, offset, little) => view.getBigInt64(offset, little) },
  u1: { size: 1, read: (view, offset) => view.getUint8(offset) },
  u2: { size: 2, read: (view, offset, little) => view.getUint16(offset, little) },
  u4: { size: 4, read: (view, offset, little) => view.getUint32(offset, little) },
  u8: { size: 8, read: (view, offset, little) => view.getBigUint64(offset, little) },
  b1: { size: 1, read: (view, offset) => view.getUint8(offset) },
}

/**
 * Reads NumPy's .npy format, versions 1 to 3, of plain numbers in row-major order.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * Errors: COMPUTE_INPUT_INVALID.
 */
export function parseNpy(bytes: Uint8Array): { dims: number[]; values: (number | bigint)[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = String.fromCharCode(...bytes.subarray(1, 6))
  const major = bytes[6] ?? 0
  if (bytes[0] !== 0x93 || magic !== 'NUMPY' || major < 1 || major > 3 || bytes.length < 12)
    throw invalid('it is no .npy file')
  const start = major === 1 ? 10 : 12
  const end = start + (major === 1 ? view.getUint16(8, true) : view.getUint32(8, true))
  const header = new TextDecoder().decode(bytes.subarray(start, end))
  const [, order = '', kind = ''] = /'descr':\s*'([<>|=])([a-z]\d)'/.exec(header) ?? []
  const [, shape] = /'shape':\s*\(([\d,\s]*)\)/.exec(header) ?? []
  const reader = READERS[kind]
  if (reader === undefined || shape === undefined) throw invalid('it does not hold plain numbers')
  if (/'fortran_order':\s*True/.test(header))
    throw invalid('it is in column-major order: save np.ascontiguousarray(a)')
  const dims = shape
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(Number)
  const count = dims.reduce((product, size) => product * size, 1)
  if (count < 1 || end + count * reader.size !== bytes.length)
    throw invalid('its length does not fit its shape')
  const little = order !== '>'
  const values = Array.from({ length: count }, (_, i) => reader.read(view, end + i * reader.size, little))
  return { dims, values }
}

function invalid(problem: string): ZerogError {
  return new ZerogError('COMPUTE_INPUT_INVALID', `the .npy file cannot be used: ${problem}`)
}
