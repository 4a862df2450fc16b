import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Folder of the checkout or package, from the sources as well as from `dist`. */
export const CHECKOUT = findRoot(dirname(fileURLToPath(import.meta.url)))

function findRoot(folder: string): string {
  return existsSync(join(folder, 'hardhat.config.ts')) ? folder : findRoot(dirname(folder))
}
