/** A socket's pieces are smaller; this many bytes at a time hash and write faster. */
export const PIECE_BYTES = 256 * 1024
/** As many pieces as bodies usually come at a time; more of them get memory of their own. */
const POOLED_PIECES = 64
const WASM_PAGE_BYTES = 64 * 1024

/** WebAssembly's memory begins at a page of the system's, which nothing else in JavaScript promises; untouched, it takes no room. */
const memory = new WebAssembly.Memory({ initial: (POOLED_PIECES * PIECE_BYTES) / WASM_PAGE_BYTES })
const free = Array.from(
  { length: POOLED_PIECES },
  (_, i) => new Uint8Array(memory.buffer, i * PIECE_BYTES, PIECE_BYTES),
).reverse()

/** Memory for one piece of a body, aligned to the system's pages while there is such; to be given back. */
export function takePiece(): Uint8Array<ArrayBuffer> {
  return free.pop() ?? new Uint8Array(PIECE_BYTES)
}

/** Gives back what {@link takePiece} gave; nobody may use it any more. */
export function givePiece(piece: Uint8Array<ArrayBuffer>): void {
  if (piece.buffer === memory.buffer) free.push(piece)
}

/** Whether bytes are known to begin at a multiple of `blockBytes` (a power of two up to 64 KiB) in the process's memory. */
export function isAligned(bytes: Uint8Array, blockBytes: number): boolean {
  return bytes.buffer === memory.buffer && bytes.byteOffset % blockBytes === 0
}
