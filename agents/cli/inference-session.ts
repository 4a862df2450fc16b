import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Wallet } from 'ethers'
import { z } from 'zod'
import { createInference, type Inference, type InferenceEvent } from '../../sdk/client/inference.ts'
import { folderStateStore } from '../../sdk/client/state-store-node.ts'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { openStore, type Store } from '../kernel/store.ts'
import { parseAddress, parseAmount, parseNumber } from './amount.ts'
import { type ComputeSession, withComputeSession } from './compute-session.ts'
import { formatWei, shortHex } from './format.ts'
import type { Output } from './output.ts'
import { requireWallet } from './session.ts'

/** What every command that asks models takes. */
export type InferenceChoice = {
  model?: string
  provider?: string
  maxInputPrice?: bigint
  maxOutputPrice?: bigint
  maxSpend?: bigint
  deposit?: bigint
  gateToken?: bigint
}

/** A session of a user of models. */
export type InferenceSession = ComputeSession & {
  readonly wallet: Wallet
  readonly inference: Inference
  /** This account's own folder, and a database in it that is open in this process only. */
  readonly folder: string
  readonly store: Store
}

/** How long one command waits for another that uses the same account. */
const PATIENCE_MS = 20_000
const POLL_MS = 100

/** Adds the options of {@link InferenceChoice}. */
export function addInferenceOptions(command: Command): Command {
  return command
    .option('--model <id>', 'model; the best offer of the right kind by default')
    .option('--provider <address>', 'ask this provider only', parseAddress)
    .option('--max-input-price <amount>', 'dearest price of an input unit, such as 1000wei', parseAmount)
    .option('--max-output-price <amount>', 'dearest price of an output unit', parseAmount)
    .option('--max-spend <amount>', 'most that all providers together may ever take from here', parseAmount)
    .option(
      '--deposit <amount>',
      'coins that may go from your wallet into compute when it has too few',
      parseAmount,
    )
    .option(
      '--gate-token <id>',
      "your token of the model's ERC-721 gate, whose free units may be used",
      parseNumber('--gate-token'),
    )
}

/**
 * Makes a commander action of a handler that asks models. What was signed and verified is kept in ~/.zerog/inference, and
 * one process at a time uses it.
 */
export function withInference<A extends unknown[], O extends InferenceChoice>(
  handler: (session: InferenceSession, output: Output, args: A, options: O) => Promise<void>,
) {
  return withComputeSession(async (session: ComputeSession, output: Output, args: A, options: O) => {
    const { chain, signal } = session
    const wallet = requireWallet(session)
    const limits = maxPriceOf(options)
    const folder = join(homedir(), '.zerog', 'inference', `${chain.chainId}-${wallet.address.toLowerCase()}`)
    const store = await openAccount(folder, output, signal)
    try {
      const inference = createInference({
        ...{ chain, signer: wallet },
        stateStore: folderStateStore(folder),
        onEvent: (event) => noteEvent(output, event),
        ...(options.maxSpend === undefined ? {} : { maxSpendWei: options.maxSpend }),
        ...(options.deposit === undefined ? {} : { depositWei: options.deposit }),
        ...limits,
      })
      try {
        await handler({ ...session, wallet, inference, folder, store }, output, args, options)
      } catch (error) {
        throw withAdvice(error)
      } finally {
        inference.close()
      }
    } finally {
      store.close()
    }
  })
}

/** One maximum alone would leave the other open, and accounts are set to both. Errors: BAD_REQUEST. */
function maxPriceOf({ maxInputPrice, maxOutputPrice }: InferenceChoice) {
  if (maxInputPrice === undefined && maxOutputPrice === undefined) return {}
  if (maxInputPrice === undefined || maxOutputPrice === undefined)
    throw new ZerogError('BAD_REQUEST', 'give --max-input-price and --max-output-price together')
  return { maxPrice: { inputPriceWei: maxInputPrice, outputPriceWei: maxOutputPrice } }
}

/** Where a proxy says that it has an account in use. */
export const proxyFileOf = (folder: string): string => join(folder, 'proxy.json')
const proxySchema = z.object({ pid: z.number().int(), url: z.string() })

/** Errors: DATA_DIR_IN_USE when another process keeps the account for too long; ABORTED. */
async function openAccount(folder: string, output: Output, signal: AbortSignal): Promise<Store> {
  const giveUpAt = performance.now() + PATIENCE_MS
  for (let isSaid = false; ; isSaid = true) {
    try {
      return openStore(join(folder, 'account.sqlite'))
    } catch (error) {
      if (errorCode(error) !== 'DATA_DIR_IN_USE') throw error
      const url = runningProxy(folder)
      if (url !== undefined)
        throw new ZerogError('DATA_DIR_IN_USE', `a proxy uses this account: ask it at ${url}, or stop it`, {
          cause: error,
          meta: { url },
        })
      if (performance.now() > giveUpAt)
        throw new ZerogError('DATA_DIR_IN_USE', 'another `zerog compute` command uses this account', {
          cause: error,
        })
      if (!isSaid) output.note('waiting for another command that uses this account')
    }
    await delay(POLL_MS, undefined, { signal })
  }
}

function runningProxy(folder: string): string | undefined {
  const file = proxyFileOf(folder)
  if (!existsSync(file)) return undefined
  try {
    const { pid, url } = proxySchema.parse(JSON.parse(readFileSync(file, 'utf8')))
    process.kill(pid, 0)
    return url
  } catch {
    // A stale or torn file: it ended without tidying up.
    return undefined
  }
}

/** What a person should know while it happens. */
function noteEvent(output: Output, event: InferenceEvent): void {
  switch (event.type) {
    case 'failure':
      output.note(`failed      ${event.provider}: ${event.code}: ${event.message}`)
      break
    case 'deposit':
      output.note(`deposited   ${formatWei(event.amountWei)} into compute`)
      break
    case 'top-up':
      output.note(`topped up   ${formatWei(event.amountWei)} at ${shortHex(event.provider)}`)
      break
    case 'max-price':
      output.note(`price       accepted at ${shortHex(event.provider)}`)
      break
    default:
  }
}

/** Says with which command the money is put right. */
function withAdvice(error: unknown): unknown {
  const code = errorCode(error)
  if (!(error instanceof ZerogError) || (code !== 'INSUFFICIENT_FUNDS' && code !== 'COMPUTE_BALANCE_TOO_LOW'))
    return error
  const advice = 'put coins in with `zerog compute fund PROVIDER AMOUNT`, or allow it with --deposit AMOUNT'
  return new ZerogError(error.code, `${error.message}; ${advice}`, { cause: error, meta: error.meta })
}
