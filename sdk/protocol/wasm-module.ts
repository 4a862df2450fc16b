/** Compiles the first of some base64 WebAssembly modules that this platform accepts; undefined when it accepts none. */
export async function compileFirst(candidates: readonly string[]): Promise<WebAssembly.Module | undefined> {
  if (typeof WebAssembly === 'undefined') return undefined
  for (const base64 of candidates) {
    const binary = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
    if (WebAssembly.validate(binary)) return WebAssembly.compile(binary)
  }
  return undefined
}

/** Where our modules' static data end; everything above is for the caller's buffers. */
export const WASM_BUFFER_START = 4096

/** A fixed memory of at least `byteLength` bytes: it never grows, so views of it stay valid. */
export function createWasmMemory(byteLength: number): WebAssembly.Memory {
  const pages = Math.ceil(byteLength / 65_536)
  return new WebAssembly.Memory({ initial: pages, maximum: pages })
}
