import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openReceiptBook, type ServedResponse } from '../../../agents/compute/receipt-book.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { tempDir } from '../../support/temp-dir.ts'

const ALICE = `0x${'a1'.repeat(20)}`
const BOB = `0x${'b0'.repeat(20)}`
let served = 0
const response = (user: string, feeWei = 10n): ServedResponse => ({
  ...{
    chatId: `chat-${++served}`,
    user,
    model: 'm',
    requestSha256: '11'.repeat(32),
    responseSha256: '22'.repeat(32),
  },
  ...{ inputUnits: 1, outputUnits: 1, feeWei, priceEpoch: 0n, signature: '0x', signer: user },
})
const newBook = () => openReceiptBook(openStore(join(tempDir(), 'agent.sqlite')))

describe('receiptBook', () => {
  it('behavior: a settlement that steps aside keeps its place before the later ones of its user', async () => {
    const book = newBook()
    await book.add(response(ALICE), 0n)
    const [first] = book.openSettlements(50)
    assert.ok(first)
    book.postpone(first.id)
    await book.add(response(ALICE), 0n)
    await book.add(response(BOB), 0n)
    const open = book.openSettlements(50)
    assert.deepEqual(
      open.map(({ user }) => user),
      [BOB, ALICE, ALICE],
    )
    assert.equal(open[1]?.id, first.id)
    assert.ok((open[2]?.nonce ?? 0n) > first.nonce)
  })

  it('behavior: a settlement that cannot be paid makes nothing due until it has waited again', async () => {
    const book = newBook()
    await book.add(response(ALICE), 0n)
    const [open] = book.openSettlements(50)
    assert.ok(open)
    const writtenMs = book.oldestUnsettledMs() ?? 0
    const end = Date.now() + 1
    while (Date.now() <= end);
    book.postpone(open.id)
    assert.ok((book.oldestUnsettledMs() ?? 0) > writtenMs)
    assert.equal(book.unsettledSinceMs(), writtenMs, 'its age is told all the same')
    book.close(open.id)
    assert.equal(book.oldestUnsettledMs(), undefined)
    assert.equal(book.unsettledSinceMs(), undefined)
  })

  it('behavior: receipts that cost nothing wait for no settlement', async () => {
    const book = newBook()
    await book.add(response(ALICE, 0n), 0n)
    assert.deepEqual(
      [book.unsettledSinceMs(), book.oldestUnsettledMs(), book.waitingUsers(), book.openSettlements(50)],
      [undefined, undefined, [], []],
    )
    await book.add(response(BOB), 0n)
    assert.deepEqual([book.waitingUsers(), book.openSettlements(50).length], [[BOB], 1])
  })

  it('behavior: receipts given up are not billed, and the others are, once', async () => {
    const book = newBook()
    const nonces = []
    for (let i = 0; i < 3; i++) nonces.push((await book.add(response(ALICE), 0n)).nonce)
    const [whole] = book.openSettlements(50)
    assert.ok(whole)
    book.giveUp(whole.id, new Set(nonces.slice(1, 2)))
    assert.equal(book.unsettledWei(ALICE), 20n)
    const [rest, ...more] = book.openSettlements(50)
    assert.ok(rest)
    assert.equal(more.length, 0)
    assert.deepEqual(
      book.receiptsOf(rest.id).map(({ nonce }) => nonce),
      [nonces[0], nonces[2]],
    )
    book.giveUp(rest.id, new Set(nonces))
    assert.equal(book.totalUnsettledWei(), 0n)
    assert.deepEqual(book.openSettlements(50), [])
  })

  it('behavior: receipts that the chain has passed are closed, and can still be shown', async () => {
    const book = newBook()
    const old = await book.add(response(ALICE), 0n)
    const recent = await book.add(response(ALICE), old.nonce + 1000n)
    assert.deepEqual(book.waitingUsers(), [ALICE])
    assert.equal(book.closePassed(ALICE, old.nonce), 1)
    assert.equal(book.closePassed(ALICE, old.nonce), 0)
    const shown = book.findSettlement(ALICE, old.nonce)
    assert.deepEqual(shown && book.receiptsOf(shown.id).map(({ nonce }) => nonce), [old.nonce])
    const [open] = book.openSettlements(50)
    assert.deepEqual(open && book.receiptsOf(open.id).map(({ nonce }) => nonce), [recent.nonce])
    assert.equal(book.totalUnsettledWei(), 10n)
  })

  it('behavior: what is closed is forgotten in its time, whatever else is open', async () => {
    const book = newBook()
    await book.add(response(ALICE), 0n)
    const [closed] = book.openSettlements(50)
    assert.ok(closed)
    book.close(closed.id)
    await book.add(response(BOB), 0n)
    await book.add(response(BOB, 0n), 0n)
    assert.equal(book.prune(Date.now() - 60_000), 0)
    assert.equal(book.prune(Date.now() + 60_000), 2)
    assert.equal(book.totalUnsettledWei(), 10n)
  })
})
