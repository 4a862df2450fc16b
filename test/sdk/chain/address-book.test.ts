import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CONTRACT_NAMES, parseAddressBook } from '../../../sdk/chain/address-book.ts'
import { loadAddressBook } from '../../../sdk/chain/address-book-node.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { tempDir } from '../../support/temp-dir.ts'

const ADDRESS = '0x5fbdb2315678afecb367f032d93f642f64180aa3'
const HASH = `0x${'ab'.repeat(32)}`

function bookJson(changes: Record<string, unknown> = {}) {
  const entry = { address: ADDRESS, block: 3, txHash: HASH, args: ['1'] }
  const contracts = Object.fromEntries(CONTRACT_NAMES.map((name) => [name, entry]))
  return { schema: 1, chainId: 31_337, network: 'localhost', deployedAtBlock: 2, contracts, ...changes }
}

/** The issues of a refused book. */
function issuesOf(json: unknown): string {
  try {
    parseAddressBook(json)
  } catch (error) {
    assert(isZerogError(error) && error.code === 'ADDRESS_BOOK_INVALID')
    return String(error.meta.issues)
  }
  throw new Error('the book was accepted')
}

describe('parseAddressBook', () => {
  it('gives checksummed addresses and a bigint chain id, whatever else the file says', () => {
    const book = parseAddressBook(bookJson({ owner: ADDRESS, params: { a: 1 } }))
    assert.equal(book.chainId, 31_337n)
    assert.equal(book.contracts.Flow.address, '0x5FbDB2315678afecb367f032d93F642f64180aa3')
    assert.equal(parseAddressBook(bookJson({ chainId: '16602' })).chainId, 16_602n)
  })

  it('error: names every field at fault', () => {
    const { Flow: _, ...others } = bookJson().contracts
    const issues = issuesOf(bookJson({ schema: 2, deployedAtBlock: -1, contracts: others }))
    for (const field of ['schema', 'deployedAtBlock', 'contracts.Flow'])
      assert.match(issues, new RegExp(field))
  })

  it('error: an address that is no hex, too short or of a wrong checksum', () => {
    for (const address of [
      '',
      '0x1234',
      ADDRESS.replace('0x', '1x'),
      '0x5FBDB2315678afecb367f032d93F642f64180aa3',
    ]) {
      const contracts = { ...bookJson().contracts, Staking: { address, block: 1 } }
      assert.match(issuesOf(bookJson({ contracts })), /contracts\.Staking\.address/)
    }
  })

  it('error: no object at all', () => {
    for (const json of [null, undefined, 7, 'book', []]) assert.match(issuesOf(json), /book|expected/)
  })
})

describe('loadAddressBook', () => {
  it('reads a file', async () => {
    const path = join(tempDir(), 'book.json')
    writeFileSync(path, JSON.stringify(bookJson()))
    assert.equal((await loadAddressBook(path)).network, 'localhost')
  })

  it('error: a file that is absent or no JSON', async () => {
    const path = join(tempDir(), 'book.json')
    await assert.rejects(loadAddressBook(path), { code: 'ADDRESS_BOOK_INVALID', message: /cannot be read/ })
    writeFileSync(path, '{')
    await assert.rejects(loadAddressBook(path), { code: 'ADDRESS_BOOK_INVALID', message: /not JSON/ })
  })
})
