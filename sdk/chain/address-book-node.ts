import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ZerogError } from '../protocol/errors.ts'
import { type AddressBook, parseAddressBook } from './address-book.ts'

/** Reads an address book from disk. Errors: ADDRESS_BOOK_INVALID when it is absent, no JSON or malformed. */
export async function loadAddressBook(path: string): Promise<AddressBook> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const fact = cause instanceof SyntaxError ? 'is not JSON' : 'cannot be read'
    throw new ZerogError('ADDRESS_BOOK_INVALID', `the address book ${path} ${fact}`, {
      cause,
      meta: { path },
    })
  }
  return parseAddressBook(json)
}

/**
 * The address book of the chain that an RPC serves: at `path`, or where the deployment in this folder wrote it.
 * Errors: ADDRESS_BOOK_INVALID; WRONG_CHAIN when it is of another chain.
 */
export async function loadAddressBookOf(chainId: bigint, path?: string): Promise<AddressBook> {
  const book = await loadAddressBook(path ?? join('deploy', 'addresses', `${chainId}.json`))
  if (book.chainId === chainId) return book
  throw new ZerogError(
    'WRONG_CHAIN',
    `the address book is for chain ${book.chainId}, the RPC serves ${chainId}`,
  )
}

/** The address of every contract in the book, by name. */
export function addressesOf({ contracts }: AddressBook): Record<string, string> {
  return Object.fromEntries(
    Object.entries(contracts).flatMap(([name, entry]) => (entry ? [[name, entry.address]] : [])),
  )
}
