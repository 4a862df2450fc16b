import { Interface } from 'ethers'
import { IInferenceServing__factory } from '../../typechain-types/factories/interfaces/index.js'
import type {
  FeeHeldEvent,
  FeeSettledEvent,
  HeldFeeReleasedEvent,
  HeldFeeReturnedEvent,
  ReceiptsDemandedEvent,
  TEESettlementResultEvent,
} from '../../typechain-types/interfaces/IInferenceEvents.js'
import type { AddressBook } from './address-book.ts'
import { createEventTable, type RawLog, type TableEvent } from './event-table.ts'

/** The arguments of the events of compute that agents and clients read, by name. */
export type ComputeEventArgs = {
  FeeSettled: FeeSettledEvent.OutputObject
  FeeHeld: FeeHeldEvent.OutputObject
  ReceiptsDemanded: ReceiptsDemandedEvent.OutputObject
  HeldFeeReleased: HeldFeeReleasedEvent.OutputObject
  HeldFeeReturned: HeldFeeReturnedEvent.OutputObject
  TEESettlementResult: TEESettlementResultEvent.OutputObject
}

export type ComputeEventName = keyof ComputeEventArgs

/** One decoded log; switch on `name`. */
export type ComputeEvent = TableEvent<ComputeEventArgs>

/** Which contract emits which event. */
export const COMPUTE_EVENTS = {
  InferenceServing: [
    'FeeSettled',
    'FeeHeld',
    'ReceiptsDemanded',
    'HeldFeeReleased',
    'HeldFeeReturned',
    'TEESettlementResult',
  ],
} as const satisfies Record<string, readonly ComputeEventName[]>

const TABLE = createEventTable<ComputeEventArgs, 'InferenceServing'>({
  InferenceServing: {
    abi: new Interface(IInferenceServing__factory.abi),
    names: COMPUTE_EVENTS.InferenceServing,
  },
})

/** The filter for eth_getLogs or a follower that finds the named events of a deployment. */
export function computeEventFilter(
  book: AddressBook,
  names: readonly ComputeEventName[],
): { address: string[]; topics: [string[]] } {
  return TABLE.filter(book, names)
}

/** Decodes a log of this deployment into plain data; undefined when it is none of these events or malformed. */
export function decodeComputeEvent(book: AddressBook, log: RawLog): ComputeEvent | undefined {
  return TABLE.decode(book, log)
}
