import { Interface, type ParamType } from 'ethers'
import {
  IBeacon__factory,
  IFlow__factory,
  IOperatorRegistry__factory,
  IStaking__factory,
  IStorageMarket__factory,
  IStorageProver__factory,
  IStorageStreams__factory,
} from '../../typechain-types/factories/interfaces/index.js'
import type { SeedPinnedEvent } from '../../typechain-types/interfaces/IBeacon.js'
import type {
  EndpointSetEvent,
  OperatorRegisteredEvent,
} from '../../typechain-types/interfaces/IOperatorRegistry.js'
import type { SlashedEvent } from '../../typechain-types/interfaces/IStaking.js'
import type {
  ConfiguredEvent,
  CustodyHandedOverEvent,
  EndedEvent,
  PriceChangedEvent,
  RefundedEvent,
  SealedEvent,
  SealerChangedEvent,
} from '../../typechain-types/interfaces/IStorageMarket.js'
import type {
  AnsweredEvent,
  AppendedEvent,
  MissedEvent,
  RoundOpenedEvent,
  TailMovedEvent,
} from '../../typechain-types/interfaces/IStorageProver.js'
import type {
  ClaimedEvent,
  CreditedEvent,
  ForfeitedEvent,
  RateMovedEvent,
  ReinstatedEvent,
  SuspendedEvent,
  WithdrawnEvent,
} from '../../typechain-types/interfaces/IStorageStreams.js'
import type { AddressBook, ContractName } from './address-book.ts'

/** A submission as its event carries it; `submissionIndex` is the txSeq, `length` counts padded sectors. */
export type SubmitArgs = {
  sender: string
  identity: string
  submissionIndex: bigint
  startPos: bigint
  length: bigint
  submission: { length: bigint; tags: string; nodes: { root: string; height: bigint }[] }
}

/** The arguments of every event that agents and clients read, by name. */
export type StorageEventArgs = {
  Submit: SubmitArgs
  PriceChanged: PriceChangedEvent.OutputObject
  Configured: ConfiguredEvent.OutputObject
  SealerChanged: SealerChangedEvent.OutputObject
  Sealed: SealedEvent.OutputObject
  Refunded: RefundedEvent.OutputObject
  CustodyHandedOver: CustodyHandedOverEvent.OutputObject
  Ended: EndedEvent.OutputObject
  Appended: AppendedEvent.OutputObject
  TailMoved: TailMovedEvent.OutputObject
  RoundOpened: RoundOpenedEvent.OutputObject
  Answered: AnsweredEvent.OutputObject
  Missed: MissedEvent.OutputObject
  Claimed: ClaimedEvent.OutputObject
  Credited: CreditedEvent.OutputObject
  Forfeited: ForfeitedEvent.OutputObject
  Suspended: SuspendedEvent.OutputObject
  Reinstated: ReinstatedEvent.OutputObject
  RateMoved: RateMovedEvent.OutputObject
  Withdrawn: WithdrawnEvent.OutputObject
  OperatorRegistered: OperatorRegisteredEvent.OutputObject
  EndpointSet: EndpointSetEvent.OutputObject
  Slashed: SlashedEvent.OutputObject
  SeedPinned: SeedPinnedEvent.OutputObject
}

export type StorageEventName = keyof StorageEventArgs

/** One decoded log; switch on `name`. */
export type StorageEvent = {
  [N in StorageEventName]: { readonly name: N; readonly args: StorageEventArgs[N] }
}[StorageEventName]

/** The parts of a log that decoding needs. */
export type RawLog = { readonly address: string; readonly topics: readonly string[]; readonly data: string }

/** Which contract emits which event. */
export const STORAGE_EVENTS = {
  Flow: ['Submit'],
  StorageMarket: [
    'PriceChanged',
    'Configured',
    'SealerChanged',
    'Sealed',
    'Refunded',
    'CustodyHandedOver',
    'Ended',
  ],
  StorageProver: ['Appended', 'TailMoved', 'RoundOpened', 'Answered', 'Missed'],
  StorageStreams: ['Claimed', 'Credited', 'Forfeited', 'Suspended', 'Reinstated', 'RateMoved', 'Withdrawn'],
  OperatorRegistry: ['OperatorRegistered', 'EndpointSet'],
  Staking: ['Slashed'],
  Beacon: ['SeedPinned'],
} as const satisfies Record<ContractName, readonly StorageEventName[]>

const INTERFACES: Record<ContractName, Interface> = {
  Flow: new Interface(IFlow__factory.abi),
  StorageMarket: new Interface(IStorageMarket__factory.abi),
  StorageProver: new Interface(IStorageProver__factory.abi),
  StorageStreams: new Interface(IStorageStreams__factory.abi),
  OperatorRegistry: new Interface(IOperatorRegistry__factory.abi),
  Staking: new Interface(IStaking__factory.abi),
  Beacon: new Interface(IBeacon__factory.abi),
}

const EMITTERS = Object.entries(STORAGE_EVENTS) as [ContractName, readonly StorageEventName[]][]

/** Topic 0 of an event. */
export function eventTopic(name: StorageEventName): string {
  const emitter = EMITTERS.find(([, names]) => names.includes(name))
  const fragment = emitter === undefined ? null : INTERFACES[emitter[0]].getEvent(name)
  // Unreachable unless the tables above disagree with the ABIs, which the tests rule out.
  if (fragment === null) throw new TypeError(`no event ${name}`)
  return fragment.topicHash
}

/** The filter for eth_getLogs or a follower that finds the named events of a deployment. */
export function eventFilter(
  book: AddressBook,
  names: readonly StorageEventName[],
): { address: string[]; topics: [string[]] } {
  const emitters = EMITTERS.filter(([, emitted]) => emitted.some((name) => names.includes(name)))
  return {
    address: emitters.map(([contract]) => book.contracts[contract].address),
    topics: [names.map(eventTopic)],
  }
}

/** Decodes a log of this deployment into plain data; undefined when it is none of our events or malformed. */
export function decodeStorageEvent(book: AddressBook, log: RawLog): StorageEvent | undefined {
  const address = log.address.toLowerCase()
  const emitter = EMITTERS.find(([contract]) => book.contracts[contract].address.toLowerCase() === address)
  if (emitter === undefined) return undefined
  const [contract, names] = emitter
  try {
    const parsed = INTERFACES[contract].parseLog(log)
    const name = names.find((candidate) => candidate === parsed?.name)
    if (parsed === null || name === undefined) return undefined
    const args = Object.fromEntries(
      parsed.fragment.inputs.map((input, i) => [input.name, plain(input, parsed.args[i])]),
    )
    // The ABI that parsed the log is the one the argument types were generated from.
    return { name, args } as unknown as StorageEvent
  } catch {
    return undefined
  }
}

/** Plain data in place of ethers' results, which are proxies and confuse fields such as `length` with an array's own. */
function plain(type: ParamType, value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const { arrayChildren, components } = type
  if (arrayChildren !== null) return [...value].map((item) => plain(arrayChildren, item))
  return Object.fromEntries(
    (components ?? []).map((component, i) => [component.name, plain(component, value[i])]),
  )
}
