import { Interface } from 'ethers'
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
import type { AddressBook } from './address-book.ts'
import { createEventTable, type RawLog, type TableEvent } from './event-table.ts'

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
export type StorageEvent = TableEvent<StorageEventArgs>

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
} as const satisfies Record<string, readonly StorageEventName[]>

/** Filters and decoding of {@link STORAGE_EVENTS}. */
export const STORAGE_EVENT_TABLE = createEventTable<StorageEventArgs, keyof typeof STORAGE_EVENTS>({
  Flow: { abi: new Interface(IFlow__factory.abi), names: STORAGE_EVENTS.Flow },
  StorageMarket: { abi: new Interface(IStorageMarket__factory.abi), names: STORAGE_EVENTS.StorageMarket },
  StorageProver: { abi: new Interface(IStorageProver__factory.abi), names: STORAGE_EVENTS.StorageProver },
  StorageStreams: { abi: new Interface(IStorageStreams__factory.abi), names: STORAGE_EVENTS.StorageStreams },
  OperatorRegistry: {
    abi: new Interface(IOperatorRegistry__factory.abi),
    names: STORAGE_EVENTS.OperatorRegistry,
  },
  Staking: { abi: new Interface(IStaking__factory.abi), names: STORAGE_EVENTS.Staking },
  Beacon: { abi: new Interface(IBeacon__factory.abi), names: STORAGE_EVENTS.Beacon },
})

/** Topic 0 of an event. */
export function eventTopic(name: StorageEventName): string {
  return STORAGE_EVENT_TABLE.topic(name)
}

/** The filter for eth_getLogs or a follower that finds the named events of a deployment. */
export function eventFilter(
  book: AddressBook,
  names: readonly StorageEventName[],
): { address: string[]; topics: [string[]] } {
  return STORAGE_EVENT_TABLE.filter(book, names)
}

/** Decodes a log of this deployment into plain data; undefined when it is none of our events or malformed. */
export function decodeStorageEvent(book: AddressBook, log: RawLog): StorageEvent | undefined {
  return STORAGE_EVENT_TABLE.decode(book, log)
}
