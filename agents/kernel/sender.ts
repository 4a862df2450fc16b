import type { BaseWallet, JsonRpcProvider, TransactionReceipt } from 'ethers'
import { isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { abortable } from './abortable.ts'
import { broadcastAttempt, NO_OP_GAS, signAttempt, type Unsigned } from './broadcast.ts'
import { crashPoint } from './fault.ts'
import { replacementFees, suggestFees } from './fees.ts'
import type { Log } from './log.ts'
import type { KernelMetrics } from './metrics.ts'
import { minedRevert, simulate } from './revert.ts'
import { type Block, readBlock } from './rpc.ts'
import type { Store } from './store.ts'
import { startTicker } from './ticker.ts'
import { type Attempt, type AttemptKind, type Fees, type JournalTx, openTxJournal } from './tx-journal.ts'

export type SubmitRequest = {
  readonly to: string
  /** ABI-encoded call, 0x hex. */
  readonly data: string
  readonly valueWei?: bigint
  /**
   * Idempotency key of the intent, unique per intent (put the period or id in it). A second submit of a label that is
   * in flight joins the first; a label whose transaction was mined while the process was down gets that receipt.
   */
  readonly label: string
  /** Last block in which the transaction is of use; after it the nonce is freed by a no-op. */
  readonly deadlineBlock?: number | bigint
  /** Says of a TX_REVERTED error (simulated or mined) that the work is done already; submit then returns null. */
  readonly alreadyDone?: (error: ZerogError) => boolean
  readonly signal?: AbortSignal
}

/**
 * The only way to send transactions from one key.
 *
 * `submit` resolves with the receipt of a successful transaction after the configured confirmations, or with null when
 * `alreadyDone` said so. Errors: TX_REVERTED (meta: selector, data, label), INSUFFICIENT_FUNDS, TX_UNDERPRICED,
 * TX_REFUSED, NONCE_CONFLICT, DEADLINE_PASSED, RPC_UNREACHABLE, ABORTED.
 */
export type Sender = {
  readonly address: string
  submit(request: SubmitRequest): Promise<TransactionReceipt | null>
  /** How many transactions wait to be mined. */
  pendingCount(): number
  stop(): Promise<void>
}

export declare namespace createSender {
  type Options = {
    provider: JsonRpcProvider
    wallet: BaseWallet
    chainId: bigint
    store: Store
    dataDir: string
    signal: AbortSignal
    log: Log
    metrics: KernelMetrics
    /** Blocks on top of the block of a transaction before it counts. */
    confirmations: number
    /** Highest fee per gas that is ever offered. */
    maxFeeWei: bigint
    /** Blocks without being mined after which the fee is raised. */
    speedUpBlocks?: number
    pollMs?: number
  }
}

/** What became of a nonce: our transaction, its no-op, or someone else's. */
type Outcome = { kind: 'mined'; receipt: TransactionReceipt } | { kind: 'cancelled' } | { kind: 'lost' }

/** Delivered transactions are watched this long, so that a reorg cannot drop them for good. */
const REORG_BLOCKS = 128
/** Outcomes nobody asked for are kept this long for a restarted caller. */
const UNDELIVERED_BLOCKS = 4096
/** Polls without a receipt after which a used nonce counts as someone else's: nodes may lag behind each other. */
const LOST_AFTER_POLLS = 8
/** How often a transaction that the node may have forgotten is looked up and sent again. */
const REBROADCAST_MS = 2000
/** How often the chain is asked for dropped transactions while nothing is pending. */
const IDLE_CHECK_MS = 2000
const ATTEMPT_ROUNDS = 5
/** What is not used is not paid; others mined first may turn a cheap write into one of a fresh slot. */
const SPARE_GAS = 50_000n

/**
 * Creates the sender of one key, and takes up what the journal says was under way.
 *
 * States of a transaction: written -> broadcast -> (repriced | rebroadcast)* -> mined -> delivered; or cancelled after
 * its deadline; or lost when another process used its nonce, in which case it is simulated and sent anew.
 */
export function createSender(options: createSender.Options): Sender {
  const { provider, wallet, chainId, store, dataDir, signal, log, metrics, confirmations, maxFeeWei } =
    options
  const { speedUpBlocks = 4, pollMs = 250 } = options
  const journal = openTxJournal(store, wallet.address)
  const inFlight = new Map<string, Promise<TransactionReceipt | null>>()
  const waiters = new Map<number, PromiseWithResolvers<Outcome>>()
  const broadcastAt = new Map<number, number>()
  const missedPolls = new Map<number, number>()
  const gapSince = new Map<number, number>()
  let lastCheckAt = 0
  let turn: Promise<unknown> = Promise.resolve()

  /** Runs one at a time: choosing a nonce, recording it and sending it must not interleave. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work)
    turn = result.catch(() => undefined)
    return result
  }

  const sign = (tx: Unsigned, kind: AttemptKind, fees: Fees, head: Block): Promise<Attempt> =>
    signAttempt(wallet, { tx, kind, fees, chainId, sentBlock: head.number })

  const broadcast = async (tx: Pick<JournalTx, 'id' | 'label'>, attempt: Attempt): Promise<void> => {
    broadcastAt.set(tx.id, performance.now())
    await broadcastAttempt(provider, attempt, tx.label)
  }

  const nextNonce = async (): Promise<number> => {
    const [mined, pooled] = await Promise.all([
      provider.getTransactionCount(wallet.address, 'latest'),
      provider.getTransactionCount(wallet.address, 'pending'),
    ])
    const taken = new Set(journal.all().map((tx) => tx.nonce))
    let nonce = Math.max(mined, pooled)
    while (taken.has(nonce)) nonce++
    return nonce
  }

  const send = (request: SubmitRequest, gasLimit: bigint): Promise<JournalTx> =>
    inTurn(async () => {
      const { to, data, label, valueWei = 0n } = request
      for (let round = 1; ; round++) {
        const head = await readHead()
        const fees = await suggestFees(provider, head.baseFeeWei, maxFeeWei)
        await assertFunds(gasLimit * fees.maxFeeWei + valueWei, label)
        const nonce = await nextNonce()
        const deadlineBlock = request.deadlineBlock === undefined ? undefined : Number(request.deadlineBlock)
        const draft = { label, nonce, to, data, valueWei, gasLimit, deadlineBlock }
        const attempt = await sign(draft, 'send', fees, head)
        const tx = journal.insert(draft, attempt)
        crashPoint('sender-after-write', dataDir)
        try {
          await broadcast(tx, attempt)
        } catch (error) {
          // Refused for certain and the newest nonce of all: giving it back leaves no gap.
          journal.remove(tx.id)
          if (isZerogError(error) && error.code === 'NONCE_CONFLICT' && round < ATTEMPT_ROUNDS) continue
          throw error
        }
        crashPoint('sender-after-broadcast', dataDir)
        metrics.transactions.inc({ outcome: 'sent' })
        log.debug({ label, nonce, hash: attempt.hash }, 'transaction sent')
        return tx
      }
    })

  const assertFunds = async (needWei: bigint, label: string): Promise<void> => {
    const haveWei = await provider.getBalance(wallet.address)
    if (haveWei >= needWei) return
    const meta = { label, address: wallet.address, haveWei: String(haveWei), needWei: String(needWei) }
    throw new ZerogError('INSUFFICIENT_FUNDS', `${wallet.address} has ${haveWei} wei and needs ${needWei}`, {
      meta,
    })
  }

  const readHead = async (): Promise<Block> => {
    const head = await readBlock(provider, 'latest')
    if (!head) throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC has no block')
    return head
  }

  const settle = async (tx: JournalTx, abort: AbortSignal): Promise<Outcome> => {
    const waiter = waiters.get(tx.id) ?? Promise.withResolvers<Outcome>()
    waiters.set(tx.id, waiter)
    ticker.trigger()
    try {
      return await abortable(waiter.promise, abort)
    } finally {
      waiters.delete(tx.id)
    }
  }

  const resolve = (tx: JournalTx, outcome: Outcome): void => {
    waiters.get(tx.id)?.resolve(outcome)
    for (const map of [waiters, broadcastAt, missedPolls]) map.delete(tx.id)
  }

  const perform = async (request: SubmitRequest): Promise<TransactionReceipt | null> => {
    const { label, to, data, valueWei = 0n, alreadyDone } = request
    const abort = request.signal ? AbortSignal.any([signal, request.signal]) : signal
    const call = { from: wallet.address, to, data, value: valueWei }
    for (let round = 1; round <= ATTEMPT_ROUNDS; round++) {
      if (abort.aborted) throw new ZerogError('ABORTED')
      let tx = journal.open(label)
      if (!tx) {
        const head = await readHead()
        if (tooLate(request.deadlineBlock, head.number)) throw deadlinePassed(label, head.number)
        try {
          const gas = await simulate(provider, call, label)
          tx = await send(request, gas + gas / 4n + SPARE_GAS)
        } catch (error) {
          if (isZerogError(error) && error.code === 'TX_REVERTED' && alreadyDone?.(error)) return null
          throw error
        }
      }
      const outcome = await settle(tx, abort)
      if (outcome.kind === 'cancelled') throw deadlinePassed(label, tx.deadlineBlock ?? 0)
      if (outcome.kind === 'lost') continue
      journal.markDelivered(tx.id)
      if (outcome.receipt.status === 1) return outcome.receipt
      const error = await minedRevert(provider, call, label, outcome.receipt)
      if (alreadyDone?.(error)) return null
      throw error
    }
    throw new ZerogError('NONCE_CONFLICT', undefined, { meta: { label, rounds: ATTEMPT_ROUNDS } })
  }

  /** Looks after every transaction whose fate is open, and brings back those that a reorg dropped. */
  const watch = async (): Promise<void> => {
    const known = journal.all()
    metrics.pendingTransactions.set(known.filter((tx) => tx.state === 'pending').length)
    if (known.length === 0) return
    const urgent = known.some((tx) => tx.state === 'pending' || waiters.has(tx.id))
    if (!urgent && performance.now() - lastCheckAt < IDLE_CHECK_MS) return
    lastCheckAt = performance.now()

    const head = await readHead()
    const minedCount = await provider.getTransactionCount(wallet.address, 'latest')
    for (const tx of known) {
      if (tx.nonce < minedCount) await inspect(tx, head)
      else await nurse(tx, head, tx.nonce === minedCount)
    }
    await fillGaps(minedCount, head)
    journal.prune(head.number - REORG_BLOCKS, head.number - UNDELIVERED_BLOCKS)
  }

  /** The nonce is used: by us once and for all, by us but not deep enough yet, or by someone else. */
  const inspect = async (tx: JournalTx, head: Block): Promise<void> => {
    if (tx.state === 'delivered') return
    if (tx.state === 'mined' && !waiters.has(tx.id)) return
    for (const attempt of tx.attempts) {
      const receipt = await provider.getTransactionReceipt(attempt.hash)
      if (!receipt) continue
      missedPolls.delete(tx.id)
      if (head.number - receipt.blockNumber < confirmations) return
      journal.markMined(tx.id, receipt.blockNumber, attempt.hash)
      const outcome = attempt.kind === 'cancel' ? 'cancelled' : receipt.status === 1 ? 'mined' : 'reverted'
      if (tx.state === 'pending') metrics.transactions.inc({ outcome })
      // A result waits in the journal until a caller has it; a no-op has nothing to tell.
      if (attempt.kind === 'cancel') journal.markDelivered(tx.id)
      resolve(tx, attempt.kind === 'cancel' ? { kind: 'cancelled' } : { kind: 'mined', receipt })
      return
    }
    const missed = (missedPolls.get(tx.id) ?? 0) + 1
    missedPolls.set(tx.id, missed)
    if (missed < LOST_AFTER_POLLS) return
    log.warn({ label: tx.label, nonce: tx.nonce }, 'nonce was used by someone else')
    metrics.transactions.inc({ outcome: 'lost' })
    journal.remove(tx.id)
    resolve(tx, { kind: 'lost' })
  }

  /** The nonce is free: replace it when it is late or stuck, send it again when the node forgot it. */
  const nurse = async (tx: JournalTx, head: Block, isNext: boolean): Promise<void> => {
    if (tx.state !== 'pending') {
      log.warn({ label: tx.label, nonce: tx.nonce }, 'transaction was dropped by a reorg')
      journal.markPending(tx.id)
    }
    const newest = tx.attempts.at(-1) ?? tx.attempts[0]
    if (tooLate(tx.deadlineBlock, head.number) && newest.kind === 'send')
      return await replace(tx, newest, 'cancel', head)
    if (isNext && head.number - newest.sentBlock >= speedUpBlocks)
      return await replace(tx, newest, newest.kind, head)
    if (performance.now() - (broadcastAt.get(tx.id) ?? -REBROADCAST_MS) < REBROADCAST_MS) return
    broadcastAt.set(tx.id, performance.now())
    if ((await provider.send('eth_getTransactionByHash', [newest.hash])) !== null) return
    metrics.transactions.inc({ outcome: 'rebroadcast' })
    await tryBroadcast(tx, newest)
  }

  const replace = async (tx: JournalTx, newest: Attempt, kind: AttemptKind, head: Block): Promise<void> => {
    // Under pressure the base fee may stand above the cap; then the last form is as good as it gets.
    const suggested = await suggestFees(provider, head.baseFeeWei, maxFeeWei).catch(() => newest)
    const fees = replacementFees(newest, suggested, maxFeeWei)
    if (!fees) {
      if (performance.now() - (broadcastAt.get(tx.id) ?? 0) >= REBROADCAST_MS) await tryBroadcast(tx, newest)
      return
    }
    const attempt = await sign(tx, kind, fees, head)
    journal.addAttempt(tx.id, attempt)
    crashPoint('sender-after-replace', dataDir)
    metrics.transactions.inc({ outcome: kind === 'cancel' ? 'cancelled' : 'repriced' })
    log.info(
      { label: tx.label, nonce: tx.nonce, kind, maxFeeWei: String(fees.maxFeeWei) },
      'transaction replaced',
    )
    await tryBroadcast(tx, attempt)
  }

  const tryBroadcast = async (tx: JournalTx, attempt: Attempt): Promise<void> => {
    try {
      await broadcast(tx, attempt)
    } catch (error) {
      log.warn({ label: tx.label, nonce: tx.nonce, err: error }, 'transaction not taken, trying again')
    }
  }

  /** A nonce below ours that nobody fills (a lost pool, a removed data folder) would hold everything up. */
  const fillGaps = async (minedCount: number, head: Block): Promise<void> => {
    const nonces = new Set(journal.all().map((tx) => tx.nonce))
    const highest = Math.max(minedCount, ...nonces)
    const missing = Array.from({ length: highest - minedCount }, (_, i) => minedCount + i).filter(
      (n) => !nonces.has(n),
    )
    for (const nonce of gapSince.keys()) if (!missing.includes(nonce)) gapSince.delete(nonce)
    for (const nonce of missing) {
      const since = gapSince.get(nonce) ?? head.number
      gapSince.set(nonce, since)
      if (head.number - since < speedUpBlocks) continue
      await inTurn(async () => {
        if (journal.all().some((tx) => tx.nonce === nonce)) return
        const noOp = {
          to: wallet.address,
          data: '0x',
          valueWei: 0n,
          gasLimit: NO_OP_GAS,
          deadlineBlock: undefined,
        }
        const draft = { ...noOp, nonce, label: `gap-${nonce}` }
        const fees = await suggestFees(provider, head.baseFeeWei, maxFeeWei)
        const attempt = await sign(draft, 'cancel', fees, head)
        const tx = journal.insert(draft, attempt)
        log.warn({ nonce }, 'filling a nonce gap')
        await tryBroadcast(tx, attempt)
      })
    }
  }

  const ticker = startTicker({ name: 'sender', intervalMs: pollMs, signal, log, tick: watch })

  return {
    address: wallet.address,
    submit: (request) => {
      const running = inFlight.get(request.label)
      if (running) return running
      const result = perform(request).finally(() => inFlight.delete(request.label))
      inFlight.set(request.label, result)
      return result
    },
    pendingCount: journal.pendingCount,
    stop: async () => {
      await ticker.stop()
      for (const waiter of waiters.values()) waiter.reject(new ZerogError('ABORTED'))
      waiters.clear()
    },
  }
}

// A transaction is mined in the next block at the earliest.
function tooLate(deadlineBlock: number | bigint | undefined, headNumber: number): boolean {
  return deadlineBlock !== undefined && BigInt(headNumber) >= BigInt(deadlineBlock)
}

function deadlinePassed(label: string, block: number): ZerogError {
  return new ZerogError('DEADLINE_PASSED', undefined, { meta: { label, block } })
}
