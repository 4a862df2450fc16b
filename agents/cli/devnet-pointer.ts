import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { CHECKOUT } from './checkout.ts'

/** What a running devnet writes about itself, so that other terminals find it. The key is one of Hardhat's public ones. */
export const devnetPointerSchema = z.object({
  pid: z.number().int(),
  rpcUrl: z.string(),
  addressBook: z.string(),
  redisUrl: z.string(),
  userKey: z.string(),
  agents: z.array(
    z.object({
      name: z.string(),
      operator: z.string(),
      url: z.string(),
      folder: z.string(),
      pid: z.number().int(),
    }),
  ),
})

export type DevnetPointer = z.output<typeof devnetPointerSchema>

export const DEVNET_FOLDER = join(CHECKOUT, '.zerog', 'devnet')
export const DEVNET_POINTER = join(DEVNET_FOLDER, 'current.json')

/** The devnet of this checkout if one is running. */
export function findDevnet(): DevnetPointer | undefined {
  if (!existsSync(DEVNET_POINTER)) return undefined
  try {
    const pointer = devnetPointerSchema.parse(JSON.parse(readFileSync(DEVNET_POINTER, 'utf8')))
    process.kill(pointer.pid, 0)
    return pointer
  } catch {
    // A stale or torn pointer means that no devnet runs.
    return undefined
  }
}
