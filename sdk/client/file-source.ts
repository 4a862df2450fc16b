import { ZerogError } from '../protocol/errors.ts'

/** Bytes of known length that can be read anywhere, several reads at a time. */
export type FileSource = {
  readonly byteLength: number
  /**
   * Exactly the bytes [offset, offset + length). A source that copies anyway puts them into `into`, when given: whoever
   * reads a whole file piece by piece saves garbage by it. Throws FILE_CHANGED when the source has fewer by now.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>
  /** Throws FILE_CHANGED when the bytes may no longer be those seen at the start. Absent: they cannot change. */
  assertUnchanged?(): Promise<void>
}

/** A source over bytes in memory. The caller must not change them meanwhile. */
export function bytesSource(bytes: Uint8Array): FileSource {
  return {
    byteLength: bytes.length,
    read: async (offset, length) => exactly(bytes.subarray(offset, offset + length), length),
  }
}

/** A source over a Blob or a browser's File; a File that changes on disk fails with FILE_CHANGED. */
export function blobSource(blob: Blob): FileSource {
  return {
    byteLength: blob.size,
    async read(offset, length) {
      let buffer: ArrayBuffer
      try {
        buffer = await blob.slice(offset, offset + length).arrayBuffer()
      } catch (cause) {
        // Browsers refuse to read a File whose modification time has moved.
        throw new ZerogError('FILE_CHANGED', undefined, { cause })
      }
      return exactly(new Uint8Array(buffer), length)
    },
  }
}

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes
  throw new ZerogError('FILE_CHANGED', `the source is ${length - bytes.length} bytes shorter than it was`)
}
