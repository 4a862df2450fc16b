import { verifyContract } from '@nomicfoundation/hardhat-verify/verify'
import { createHardhatRuntimeEnvironment, importUserConfig, resolveHardhatConfigPath } from 'hardhat/hre'
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import { ZerogError } from '../sdk/protocol/errors.ts'
import { type AddressBook, contractsOf } from './address-book.ts'
import { loadArtifact } from './artifact.ts'
import type { NetworkParams } from './deploy-params.ts'

type Options = { rpcUrl: string; apiKey: string | undefined; onVerified: (name: string) => void }

/**
 * Publishes the sources of every contract of the book at the network's explorer; a contract that is verified already is
 * left alone, so it may be repeated. Needs the internet.
 *
 * Errors: CONFIG_INVALID when the network has no explorer; EXPLORER_FAILED naming the contract.
 */
export async function publishSources(
  book: AddressBook,
  network: NetworkParams,
  options: Options,
): Promise<void> {
  const { explorer } = network
  if (explorer.kind === 'none')
    throw new ZerogError('CONFIG_INVALID', `${network.name} has no explorer to verify at`)
  const configPath = await resolveHardhatConfigPath()
  const userConfig = await importUserConfig(configPath)
  const hre = await createHardhatRuntimeEnvironment(
    {
      ...userConfig,
      networks: {
        [network.name]: { type: 'http', chainType: 'l1', chainId: book.chainId, url: options.rpcUrl },
      },
      ...(explorer.kind === 'etherscan'
        ? {
            chainDescriptors: {
              [book.chainId]: {
                name: network.name,
                blockExplorers: { etherscan: { url: explorer.url, apiUrl: explorer.apiUrl } },
              },
            },
            verify: { etherscan: { apiKey: options.apiKey ?? 'none' } },
          }
        : {}),
    },
    { network: network.name },
  )
  const { log } = console
  // The plugin talks on standard output, which belongs to --json.
  console.log = console.error
  try {
    await publishEach(book, explorer.kind, hre, options)
  } finally {
    console.log = log
  }
}

async function publishEach(
  book: AddressBook,
  provider: 'sourcify' | 'etherscan',
  hre: HardhatRuntimeEnvironment,
  { onVerified }: Options,
): Promise<void> {
  for (const [name, { address, args, txHash }] of contractsOf(book)) {
    try {
      await verifyContract(
        {
          address,
          constructorArgs: args,
          contract: `${loadArtifact(name).sourceName}:${name}`,
          creationTxHash: txHash,
          provider,
        },
        hre,
      )
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new ZerogError('EXPLORER_FAILED', `${name} at ${address}: ${reason}`, {
        cause,
        meta: { contract: name },
      })
    }
    onVerified(name)
  }
}
