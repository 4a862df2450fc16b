import type { z } from 'zod'
import { envBigInt, kernelEnv, loadConfig } from '../kernel/config.ts'
import { findDevnet } from './devnet-pointer.ts'

/** What the commands read from the environment: where the chain is and whose key signs. */
export const cliEnv = kernelEnv
  .pick({
    ADDRESS_BOOK: true,
    PRIVATE_KEY: true,
    KEYSTORE_FILE: true,
    KEYSTORE_PASSWORD: true,
    KEYSTORE_PASSWORD_FILE: true,
    DATA_DIR: true,
    HTTP_HOST: true,
    HTTP_PORT: true,
    PUBLIC_URL: true,
  })
  .extend({
    RPC_URL: kernelEnv.shape.RPC_URL.removeDefault().optional().describe('JSON-RPC address of the chain'),
    CHAIN_ID: envBigInt().optional().describe('Chain id the RPC must serve; any when not set'),
  })

export type CliConfig = z.output<typeof cliEnv>

/** Configuration of a command; where nothing names a chain and a devnet of this checkout runs, that devnet. */
export function loadCliConfig(): CliConfig & { usesDevnet: boolean } {
  const config = loadConfig(cliEnv)
  const devnet = config.RPC_URL === undefined ? findDevnet() : undefined
  if (devnet === undefined) return { ...config, usesDevnet: false }
  const hasKey = config.PRIVATE_KEY !== undefined || config.KEYSTORE_FILE !== undefined
  return {
    ...config,
    RPC_URL: devnet.rpcUrl,
    ADDRESS_BOOK: config.ADDRESS_BOOK ?? devnet.addressBook,
    ...(hasKey ? {} : { PRIVATE_KEY: devnet.userKey }),
    usesDevnet: true,
  }
}
