import { Interface } from 'ethers'
import {
  IDaCommittee__factory,
  IDaCourt__factory,
  IDaProver__factory,
  IDataAvailability__factory,
} from '../../typechain-types/factories/interfaces/index.js'
import type {
  EpochFormedEvent,
  MemberRegisteredEvent,
  MemberRemovedEvent,
} from '../../typechain-types/interfaces/IDaCommittee.js'
import type {
  AttestersEquivocatedEvent,
  ConvictedEvent,
  DisperserEquivocatedEvent,
  PunishedEvent,
} from '../../typechain-types/interfaces/IDaCourt.js'
import type {
  AnsweredEvent,
  AppendedEvent,
  MissedEvent,
  RoundOpenedEvent,
} from '../../typechain-types/interfaces/IDaProver.js'
import type {
  BlobClaimedEvent,
  BlobConfirmedEvent,
  BlobConvictedEvent,
  BlobRefundedEvent,
  BlobSubmittedEvent,
  ColumnsForfeitedEvent,
  CreditedEvent,
  PotPaidEvent,
  WithdrawnEvent,
} from '../../typechain-types/interfaces/IDataAvailability.js'
import type { AddressBook, DaContractName } from './address-book.ts'
import { createEventTable, type RawLog, type TableEvent } from './event-table.ts'

/** The arguments of every event of data availability, by name. */
export type DaEventArgs = {
  BlobSubmitted: BlobSubmittedEvent.OutputObject
  BlobConfirmed: BlobConfirmedEvent.OutputObject
  BlobRefunded: BlobRefundedEvent.OutputObject
  BlobConvicted: BlobConvictedEvent.OutputObject
  ColumnsForfeited: ColumnsForfeitedEvent.OutputObject
  BlobClaimed: BlobClaimedEvent.OutputObject
  Credited: CreditedEvent.OutputObject
  PotPaid: PotPaidEvent.OutputObject
  Withdrawn: WithdrawnEvent.OutputObject
  MemberRegistered: MemberRegisteredEvent.OutputObject
  MemberRemoved: MemberRemovedEvent.OutputObject
  EpochFormed: EpochFormedEvent.OutputObject
  Appended: AppendedEvent.OutputObject
  RoundOpened: RoundOpenedEvent.OutputObject
  Answered: AnsweredEvent.OutputObject
  Missed: MissedEvent.OutputObject
  Convicted: ConvictedEvent.OutputObject
  DisperserEquivocated: DisperserEquivocatedEvent.OutputObject
  AttestersEquivocated: AttestersEquivocatedEvent.OutputObject
  Punished: PunishedEvent.OutputObject
}

export type DaEventName = keyof DaEventArgs

/** One decoded log; switch on `name`. */
export type DaEvent = TableEvent<DaEventArgs>

/** Which contract emits which event. */
export const DA_EVENTS = {
  DataAvailability: [
    'BlobSubmitted',
    'BlobConfirmed',
    'BlobRefunded',
    'BlobConvicted',
    'ColumnsForfeited',
    'BlobClaimed',
    'Credited',
    'PotPaid',
    'Withdrawn',
  ],
  DaCommittee: ['MemberRegistered', 'MemberRemoved', 'EpochFormed'],
  DaProver: ['Appended', 'RoundOpened', 'Answered', 'Missed'],
  DaCourt: ['Convicted', 'DisperserEquivocated', 'AttestersEquivocated', 'Punished'],
} as const satisfies Record<DaContractName, readonly DaEventName[]>

/** Filters and decoding of {@link DA_EVENTS}. */
export const DA_EVENT_TABLE = createEventTable<DaEventArgs, DaContractName>({
  DataAvailability: {
    abi: new Interface(IDataAvailability__factory.abi),
    names: DA_EVENTS.DataAvailability,
  },
  DaCommittee: { abi: new Interface(IDaCommittee__factory.abi), names: DA_EVENTS.DaCommittee },
  DaProver: { abi: new Interface(IDaProver__factory.abi), names: DA_EVENTS.DaProver },
  DaCourt: { abi: new Interface(IDaCourt__factory.abi), names: DA_EVENTS.DaCourt },
})

/** The filter for eth_getLogs or a follower that finds the named events of a deployment. */
export function daEventFilter(
  book: AddressBook,
  names: readonly DaEventName[],
): { address: string[]; topics: [string[]] } {
  return DA_EVENT_TABLE.filter(book, names)
}

/** Decodes a log of this deployment into plain data; undefined when it is none of these events or malformed. */
export function decodeDaEvent(book: AddressBook, log: RawLog): DaEvent | undefined {
  return DA_EVENT_TABLE.decode(book, log)
}
