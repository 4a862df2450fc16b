import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import type { JsonRpcProvider, Wallet } from 'ethers'
import { loadAddressBook } from '../../sdk/chain/address-book-node.ts'
import { type Chain, connectChain } from '../../sdk/chain/connect.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { loadWallet } from '../kernel/keystore.ts'
import { connectNode } from '../kernel/provider.ts'
import { askPassword } from './ask.ts'
import { CHECKOUT } from './checkout.ts'
import { type CliConfig, loadCliConfig } from './config.ts'
import { createOutput, type Output } from './output.ts'

/** How long a command waits for a node that does not answer. */
const PATIENCE_MS = 5_000

/** One run of a command against a chain. */
export type Session = {
  readonly chain: Chain
  readonly provider: JsonRpcProvider
  /** Undefined when no key is configured: enough to read. */
  readonly wallet: Wallet | undefined
  readonly config: CliConfig & { readonly RPC_URL: string; readonly ADDRESS_BOOK: string }
  /** Whether chain and key come from the running devnet, because nothing else was configured. */
  readonly usesDevnet: boolean
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}

/** Options that every command has. */
export type GlobalOptions = { json?: boolean; rpc?: string; addresses?: string }

type Handler<A extends unknown[], O> = (
  session: Session,
  output: Output,
  args: A,
  options: O,
) => Promise<void>

/** Makes a commander action of a handler that needs the chain. */
export function withSession<A extends unknown[], O>(handler: Handler<A, O>) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command
    const options = command.optsWithGlobals() as O & GlobalOptions
    const output = createOutput({ json: options.json === true })
    const { session, close } = await openSession(options, output)
    try {
      await handler(session, output, given.slice(0, -2) as A, options)
    } finally {
      close()
    }
  }
}

/** The session's wallet. Errors: CONFIG_INVALID when there is no key. */
export function requireWallet(session: Session): Wallet {
  if (session.wallet !== undefined) return session.wallet
  throw new ZerogError(
    'CONFIG_INVALID',
    'this needs a key: set KEYSTORE_FILE and KEYSTORE_PASSWORD_FILE (or PRIVATE_KEY for development)',
  )
}

/**
 * Connects to the chain that options, environment or a running devnet name.
 *
 * Errors: CONFIG_INVALID, RPC_UNREACHABLE, WRONG_CHAIN, ADDRESS_BOOK_INVALID, KEYSTORE_INVALID, ABORTED.
 */
export async function openSession(
  options: GlobalOptions,
  output: Output,
): Promise<{ session: Session; close: () => void }> {
  const { usesDevnet, ...config } = loadCliConfig(options)
  if (config.RPC_URL === undefined) {
    throw new ZerogError(
      'CONFIG_INVALID',
      'which chain? Set RPC_URL, give --rpc, or start a devnet with `zerog devnet`',
    )
  }
  if (usesDevnet) output.note('using the local devnet')
  const { signal, release } = abortOnSignal()
  const closers = [release]
  const close = () => {
    for (const closer of closers.splice(0)) closer()
  }
  try {
    const node = await connectNode({
      rpcUrl: config.RPC_URL,
      chainId: config.CHAIN_ID,
      signal,
      patienceMs: PATIENCE_MS,
    })
    closers.push(node.close)
    const { provider, chainId } = node
    const book =
      options.addresses ?? config.ADDRESS_BOOK ?? join(CHECKOUT, 'deploy', 'addresses', `${chainId}.json`)
    const addressBook = await loadAddressBook(book)
    const hasKey = config.PRIVATE_KEY !== undefined || config.KEYSTORE_FILE !== undefined
    const wallet = hasKey ? (await loadWallet(config, askPassword)).connect(provider) : undefined
    const signer = wallet === undefined ? {} : { signer: wallet }
    const chain = await connectChain({ provider, addressBook, signal, ...signer })
    const settings = { ...config, RPC_URL: config.RPC_URL, ADDRESS_BOOK: resolve(book) }
    return { session: { chain, provider, wallet, config: settings, usesDevnet, signal }, close }
  } catch (error) {
    close()
    throw error
  }
}

/** The first Ctrl-C or SIGTERM cancels what is going on, so that it can tidy up; a second one ends the process. */
export function abortOnSignal(): { signal: AbortSignal; release: () => void } {
  const cancel = new AbortController()
  const onSignal = () => {
    release()
    cancel.abort()
  }
  const release = () => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  return { signal: cancel.signal, release }
}
