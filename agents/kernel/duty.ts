import type { JsonRpcProvider } from 'ethers'
import type { Head } from './head.ts'
import type { Log } from './log.ts'
import type { KernelMetrics } from './metrics.ts'
import type { Sender } from './sender.ts'
import type { Store } from './store.ts'

/**
 * What the kernel gives every duty. An agent adds its own parts: `type StorageContext = KernelContext & {…}`.
 *
 * `head` is read once per tick; every read of that tick should pin `head.number`. `perform` gets the head of the
 * moment it starts.
 */
export type KernelContext = {
  readonly name: string
  /** The address of the key that signs transactions. */
  readonly self: string
  readonly chainId: bigint
  /** Where others reach this agent: PUBLIC_URL, else the address it listens on (known once it does). */
  readonly url: string
  readonly head: Head
  /** Aborts when the agent stops; pass it to every await that leaves the process. */
  readonly signal: AbortSignal
  readonly log: Log
  readonly metrics: KernelMetrics
  readonly provider: JsonRpcProvider
  readonly sender: Sender
  readonly store: Store
}

/**
 * One obligation of an agent: what is due by chain state, under which idempotent id, until when, and how to do it.
 *
 * `due` decides from chain state only, so that an agent may be killed at any line and lose nothing.
 * An item must survive JSON (strings, numbers, booleans, bigint, arrays, plain objects) unless the duty is `local`.
 */
export type Duty<T, C extends KernelContext = KernelContext> = {
  /** Lower-case kebab name, unique in the agent. */
  readonly name: string
  /** Event names (see `Follower.eventName`) that run `due` at once even when `everyBlocks` has not passed. A hint. */
  readonly wakeOn?: readonly string[]
  /** Runs `due` at most once in this many blocks. Default 1: on every new head. */
  readonly everyBlocks?: number
  /** Performs in this process, never by another worker on the same Redis; the item need not survive JSON. */
  readonly local?: boolean
  /** Error codes that mean that the work is done already, by us or someone else. */
  readonly alreadyDone?: readonly string[]
  /** Returns what must be done at `ctx.head`. It is never run twice at once for one duty. */
  due(ctx: C): Promise<readonly T[]>
  /** Returns the job id, unique in the duty: no colon and not a bare number. */
  id(item: T): string
  /** Returns the last block in which the work is of use. Later work is dropped on purpose. */
  deadline?(item: T): bigint | number
  perform(item: T, ctx: C): Promise<void>
}

/** A duty whose item type is hidden, as lists of duties hold it. */
// biome-ignore lint/suspicious/noExplicitAny: the item type is existential; due, id and perform of one duty always agree
export type AnyDuty<C extends KernelContext = KernelContext> = Duty<any, C>
