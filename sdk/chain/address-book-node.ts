import { readFile } from 'node:fs/promises'
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
