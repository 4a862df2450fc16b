import { Interface } from 'ethers'
import { IJobEscrow__factory } from '../../typechain-types/factories/interfaces/index.js'
import type {
  DisputeAnsweredEvent,
  JobAssignedEvent,
  JobClosedEvent,
  JobDeliveredEvent,
  JobDisputedEvent,
  JobOpenedEvent,
  JobOutbidEvent,
} from '../../typechain-types/interfaces/IJobEscrow.js'
import type { AddressBook } from './address-book.ts'
import { createEventTable, type RawLog, type TableEvent } from './event-table.ts'

/** The arguments of the events of jobs, by name. */
export type JobEventArgs = {
  JobOpened: JobOpenedEvent.OutputObject
  JobAssigned: JobAssignedEvent.OutputObject
  JobOutbid: JobOutbidEvent.OutputObject
  JobDelivered: JobDeliveredEvent.OutputObject
  JobDisputed: JobDisputedEvent.OutputObject
  DisputeAnswered: DisputeAnsweredEvent.OutputObject
  JobClosed: JobClosedEvent.OutputObject
}

export type JobEventName = keyof JobEventArgs

/** One decoded log; switch on `name`. */
export type JobEvent = TableEvent<JobEventArgs>

/** Which contract emits which event. */
export const JOB_EVENTS = {
  JobEscrow: [
    'JobOpened',
    'JobAssigned',
    'JobOutbid',
    'JobDelivered',
    'JobDisputed',
    'DisputeAnswered',
    'JobClosed',
  ],
} as const satisfies Record<string, readonly JobEventName[]>

const TABLE = createEventTable<JobEventArgs, 'JobEscrow'>({
  JobEscrow: { abi: new Interface(IJobEscrow__factory.abi), names: JOB_EVENTS.JobEscrow },
})

/** The filter for eth_getLogs or a follower that finds the named events of a deployment. */
export function jobEventFilter(
  book: AddressBook,
  names: readonly JobEventName[],
): { address: string[]; topics: [string[]] } {
  return TABLE.filter(book, names)
}

/** Decodes a log of this deployment into plain data; undefined when it is none of these events or malformed. */
export function decodeJobEvent(book: AddressBook, log: RawLog): JobEvent | undefined {
  return TABLE.decode(book, log)
}
