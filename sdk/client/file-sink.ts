/**
 * Where a download goes. Writes come in any order, each byte once at least; nothing is visible before `commit`.
 * After `commit` or `discard` the sink takes no more calls.
 */
export type FileSink = {
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Makes all of it visible at once. */
  commit(): Promise<void>
  /** Leaves no trace. */
  discard(): Promise<void>
}

/** A sink in memory; `bytes` is empty until the download is complete and verified. */
export function memorySink(): FileSink & { bytes(): Uint8Array } {
  let buffer = new Uint8Array()
  let length = 0
  let committed = false
  return {
    async write(offset, bytes) {
      const end = offset + bytes.length
      if (end > buffer.length) {
        const grown = new Uint8Array(Math.max(end, buffer.length * 2))
        grown.set(buffer.subarray(0, length))
        buffer = grown
      }
      buffer.set(bytes, offset)
      length = Math.max(length, end)
    },
    async commit() {
      committed = true
    },
    async discard() {
      buffer = new Uint8Array()
      length = 0
    },
    bytes: () => (committed ? buffer.subarray(0, length) : new Uint8Array()),
  }
}
