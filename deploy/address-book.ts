import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CHECKOUT } from '../agents/cli/checkout.ts'
import type {
  ComputeContractName,
  ContractName,
  DaContractName,
  DeployedName,
} from '../sdk/chain/address-book.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import type { JournalHeader } from './journal.ts'

export type BookEntry = { address: string; block: number; txHash: string; args: unknown[] }

/** `deploy/addresses/<chainId>.json`: where everything stands and with which parameters. */
export type AddressBook = JournalHeader & {
  schema: 1
  /** The first block that holds a contract of ours: where reading of logs begins. */
  deployedAtBlock: number
  contracts: Record<ContractName, BookEntry> &
    Partial<Record<DaContractName | ComputeContractName, BookEntry>>
}

/** The folder that the repository keeps its address books in. */
export const ADDRESSES_DIR = join(CHECKOUT, 'deploy/addresses')

export const bookPath = (directory: string, chainId: number) => join(directory, `${chainId}.json`)
export const journalPath = (directory: string, chainId: number) => join(directory, `${chainId}.partial.json`)

/** The contracts that a book names, in the order of their deployment. */
export function contractsOf({ contracts }: Pick<AddressBook, 'contracts'>): [DeployedName, BookEntry][] {
  return Object.entries(contracts) as [DeployedName, BookEntry][]
}

/** The finished book at `path`, if there is one. Errors: ADDRESS_BOOK_INVALID. */
export function readBook(path: string): AddressBook | undefined {
  if (!existsSync(path)) return undefined
  try {
    const book = JSON.parse(readFileSync(path, 'utf8')) as AddressBook
    if (book.schema !== 1 || typeof book.contracts !== 'object')
      throw new Error('not an address book of schema 1')
    return book
  } catch (cause) {
    throw new ZerogError(
      'ADDRESS_BOOK_INVALID',
      `${path} is damaged: restore it, or start over with --fresh`,
      { cause },
    )
  }
}
