import { Interface } from 'ethers'
import { IModelRegistry__factory } from '../../typechain-types/factories/interfaces/index.js'
import type {
  ModelGateSetEvent,
  ModelOfferedEvent,
  ModelRegisteredEvent,
  ModelTermsSetEvent,
  ModelTransferredEvent,
  ModelVersionPublishedEvent,
} from '../../typechain-types/interfaces/IModelRegistry.js'
import type { AddressBook } from './address-book.ts'
import { createEventTable, type RawLog, type TableEvent } from './event-table.ts'

/** The arguments of the events of models, by name. */
export type ModelEventArgs = {
  ModelRegistered: ModelRegisteredEvent.OutputObject
  ModelVersionPublished: ModelVersionPublishedEvent.OutputObject
  ModelTermsSet: ModelTermsSetEvent.OutputObject
  ModelGateSet: ModelGateSetEvent.OutputObject
  ModelOffered: ModelOfferedEvent.OutputObject
  ModelTransferred: ModelTransferredEvent.OutputObject
}

export type ModelEventName = keyof ModelEventArgs

/** One decoded log; switch on `name`. */
export type ModelEvent = TableEvent<ModelEventArgs>

/** Which contract emits which event. */
const MODEL_EVENTS = {
  ModelRegistry: [
    'ModelRegistered',
    'ModelVersionPublished',
    'ModelTermsSet',
    'ModelGateSet',
    'ModelOffered',
    'ModelTransferred',
  ],
} as const satisfies Record<string, readonly ModelEventName[]>

const TABLE = createEventTable<ModelEventArgs, 'ModelRegistry'>({
  ModelRegistry: { abi: new Interface(IModelRegistry__factory.abi), names: MODEL_EVENTS.ModelRegistry },
})

/** Decodes a log of this deployment into plain data; undefined when it is none of these events or malformed. */
export function decodeModelEvent(book: AddressBook, log: RawLog): ModelEvent | undefined {
  return TABLE.decode(book, log)
}
