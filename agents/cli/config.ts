import type { z } from 'zod'
import { computeEnv } from '../compute/config.ts'
import { envInteger, kernelEnv, loadConfig } from '../kernel/config.ts'
import { findDevnet } from './devnet-pointer.ts'

const { RPC_URL, DATA_DIR, HTTP_HOST, HTTP_PORT } = kernelEnv.shape

/** What the commands read from the environment: where the chain is, whose key signs, and what an agent was set to. */
export const cliEnv = kernelEnv
  .pick({
    CHAIN_ID: true,
    ADDRESS_BOOK: true,
    PRIVATE_KEY: true,
    KEYSTORE_FILE: true,
    KEYSTORE_PASSWORD: true,
    KEYSTORE_PASSWORD_FILE: true,
    PUBLIC_URL: true,
  })
  .extend({
    RPC_URL: RPC_URL.removeDefault().optional(),
    DATA_DIR: DATA_DIR.removeDefault().optional(),
    HTTP_HOST: HTTP_HOST.removeDefault().optional(),
    HTTP_PORT: HTTP_PORT.removeDefault().optional(),
    CAPACITY_BYTES: envInteger(0).optional(),
    ...computeEnv.pick({
      MODEL_ID: true,
      MODEL_ROOT: true,
      MODEL_DIR: true,
      MODEL_FILE: true,
      MODEL_OWNER: true,
      EXECUTION_PROVIDER: true,
      INPUT_PRICE_WEI: true,
      OUTPUT_PRICE_WEI: true,
    }).shape,
  })

export type CliConfig = z.output<typeof cliEnv>

/**
 * Configuration of a command; where nothing names a chain and a devnet of this checkout runs, that devnet. `rpc` is the
 * option of the same name, and wins.
 *
 * Errors: CONFIG_INVALID.
 */
export function loadCliConfig({ rpc }: { rpc?: string | undefined } = {}): CliConfig & {
  usesDevnet: boolean
} {
  const config = loadConfig(cliEnv)
  if (rpc !== undefined) return { ...config, RPC_URL: rpc, usesDevnet: false }
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
