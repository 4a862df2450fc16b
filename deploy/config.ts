import type { Wallet } from 'ethers'
import { z } from 'zod'
import { type Env, envAddress, envUrl, loadConfig } from '../agents/kernel/config.ts'
import { type AskPassword, loadWallet } from '../agents/kernel/keystore.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import type { NetworkParams } from './deploy-params.ts'
import { DEPLOYER_ACCOUNT, devAccount } from './dev-account.ts'

/** The variables of a deployment; `<NETWORK>_RPC_URL` goes before `RPC_URL`. */
export const deployEnv = z.object({
  RPC_URL: envUrl().optional().describe('JSON-RPC address of the chain'),
  LOCALHOST_RPC_URL: envUrl()
    .optional()
    .describe('RPC of --network localhost; default http://127.0.0.1:8545'),
  GALILEO_RPC_URL: envUrl().optional().describe('RPC of --network galileo'),
  SEPOLIA_RPC_URL: envUrl().optional().describe('RPC of --network sepolia'),
  DEPLOYER_PRIVATE_KEY: z
    .string()
    .regex(/^(0x)?[0-9a-fA-F]{64}$/, '64 hex digits')
    .optional()
    .describe('Key that deploys, in the clear; on localhost a development account when not set'),
  DEPLOYER_KEYSTORE_FILE: z.string().optional().describe('Encrypted JSON keystore of the key that deploys'),
  DEPLOYER_KEYSTORE_PASSWORD: z
    .string()
    .optional()
    .describe('Its password; prefer DEPLOYER_KEYSTORE_PASSWORD_FILE'),
  DEPLOYER_KEYSTORE_PASSWORD_FILE: z.string().optional().describe('File with its password'),
  OWNER_ADDRESS: envAddress()
    .optional()
    .describe('Who owns the contracts in the end; the deployer when not set'),
  EXPLORER_API_KEY: z.string().optional().describe('Key of the explorer that --verify sends sources to'),
})

export type DeployConfig = {
  rpcUrl: string
  owner: string | undefined
  explorerApiKey: string | undefined
  openWallet: (ask: AskPassword | undefined) => Promise<Wallet>
}

/** Reads what `network` needs from the environment and a `.env` file. Error: CONFIG_INVALID, values never repeated. */
export function loadDeployConfig(network: NetworkParams, env?: Env): DeployConfig {
  const given = loadConfig(deployEnv, env)
  const urls = {
    localhost: given.LOCALHOST_RPC_URL,
    galileo: given.GALILEO_RPC_URL,
    sepolia: given.SEPOLIA_RPC_URL,
  }
  const own = Object.hasOwn(urls, network.name) ? urls[network.name as keyof typeof urls] : undefined
  const rpcUrl = own ?? given.RPC_URL ?? (network.live ? undefined : 'http://127.0.0.1:8545')
  if (rpcUrl === undefined) {
    throw new ZerogError('CONFIG_INVALID', `set ${network.name.toUpperCase()}_RPC_URL or RPC_URL`)
  }
  return {
    rpcUrl,
    owner: given.OWNER_ADDRESS,
    explorerApiKey: given.EXPLORER_API_KEY,
    async openWallet(ask) {
      const { DEPLOYER_PRIVATE_KEY: key, DEPLOYER_KEYSTORE_FILE: file } = given
      if (key === undefined && file === undefined) {
        if (!network.live) {
          return devAccount(DEPLOYER_ACCOUNT)
        }
        throw new ZerogError('CONFIG_INVALID', 'set DEPLOYER_KEYSTORE_FILE or DEPLOYER_PRIVATE_KEY')
      }
      return await loadWallet(
        {
          PRIVATE_KEY: key,
          KEYSTORE_FILE: file,
          KEYSTORE_PASSWORD: given.DEPLOYER_KEYSTORE_PASSWORD,
          KEYSTORE_PASSWORD_FILE: given.DEPLOYER_KEYSTORE_PASSWORD_FILE,
        },
        ask,
      )
    },
  }
}
