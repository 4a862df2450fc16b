import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SHIPPED_MODELS } from '../devnet/serve-models.ts'

const CLASSES = 10

/** The held-out digits as they lie in the model's folder; pixels from 0 to `maxPixel`. */
export type Heldout = { readonly maxPixel: number; readonly images: number[][]; readonly labels: number[] }

export async function readHeldout(): Promise<Heldout> {
  return JSON.parse(await readFile(join(SHIPPED_MODELS.digits.folder, 'heldout.json'), 'utf8')) as Heldout
}

/** The class of each row of ten logits. */
export function classesOf(logits: readonly number[]): number[] {
  return Array.from({ length: logits.length / CLASSES }, (_, row) => {
    const scores = logits.slice(row * CLASSES, (row + 1) * CLASSES)
    return scores.indexOf(Math.max(...scores))
  })
}
