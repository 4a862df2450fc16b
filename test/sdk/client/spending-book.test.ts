import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { committedWei, openSpendingBook, type Reservation } from '../../../sdk/client/spending-book.ts'
import { memoryStateStore } from '../../../sdk/client/state-store.ts'
import { errorCode } from '../../../sdk/protocol/errors.ts'

const KEY = async () => 'book'
const TERMS = {
  inputPriceWei: 1n,
  outputPriceWei: 1n,
  modelRoot: `0x${'00'.repeat(32)}`,
  validUntilSec: 10n ** 10n,
}
const PROVIDERS = ['0xa', '0xb', '0xc']
const wish = (worstWei: bigint, change: { limitWei?: bigint; stepWei?: bigint } = {}) => ({
  ...{ worstWei, stepWei: 1n, terms: TERMS, limitWei: undefined, postedWei: 0n, nowSec: 0n },
  ...change,
})

describe('openSpendingBook', () => {
  it('property: whatever happens, ceilings stay within the limit, never fall, and are written before they count', async () => {
    const provider = fc.constantFrom(...PROVIDERS)
    const step = fc.oneof(
      fc.record({
        type: fc.constant('reserve' as const),
        provider,
        worst: fc.bigInt(1n, 300n),
        step: fc.bigInt(1n, 900n),
      }),
      fc.record({ type: fc.constant('settle' as const), share: fc.integer({ min: 0, max: 100 }) }),
      fc.record({ type: fc.constant('drop' as const), isFree: fc.boolean(), isFailure: fc.boolean() }),
      fc.record({ type: fc.constant('restart' as const) }),
      fc.record({
        type: fc.constant('reconcile' as const),
        provider,
        share: fc.integer({ min: 0, max: 150 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.bigInt(1n, 5000n), async (steps, limitWei) => {
        const store = memoryStateStore()
        let book = openSpendingBook(store, KEY)
        for (const one of PROVIDERS) await book.open(one, { settledWei: 7n, owedWei: 3n, ceilingWei: 0n })
        let open: Reservation[] = []
        let nonce = 0n
        let before = await book.all()
        for (const one of steps) {
          if (one.type === 'reserve')
            await book.reserve(one.provider, wish(one.worst, { limitWei, stepWei: one.step })).then(
              ({ reservation, record }) => {
                open.push(reservation)
                assert.ok(record.ceilingWei > record.spentWei + record.doubtWei - one.worst)
              },
              (error: unknown) => assert.match(errorCode(error), /INFERENCE_(LIMIT_REACHED|UNVERIFIED)/),
            )
          const next = one.type === 'settle' || one.type === 'drop' ? open.shift() : undefined
          if (one.type === 'settle' && next) {
            const feeWei = (next.worstWei * BigInt(one.share)) / 100n
            await book.settle(next, { feeWei, nonce: ++nonce })
          }
          if (one.type === 'drop' && next) await book.drop(next, one)
          if (one.type === 'reconcile') {
            const { spentWei = 0n, doubtWei = 0n } = (await book.find(one.provider)) ?? {}
            const claimedWei = ((spentWei + doubtWei) * BigInt(one.share)) / 100n
            const isFair = await book.reconcile(one.provider, claimedWei)
            assert.equal(isFair, claimedWei <= spentWei + doubtWei)
          }
          if (one.type === 'restart') {
            const old = await book.all()
            book = openSpendingBook(store, KEY)
            open = []
            assert.deepEqual(await book.all(), old)
          }
          const now = await book.all()
          assert.ok(committedWei(now) <= limitWei)
          for (const [name, record] of now) {
            assert.ok(record.ceilingWei >= (before.get(name)?.ceilingWei ?? 0n))
            assert.ok(record.spentWei >= (before.get(name)?.spentWei ?? 0n))
            assert.ok(record.lostWei >= 0n && record.doubtWei >= 0n)
          }
          before = now
        }
      }),
      { numRuns: 100 },
    )
  })

  it('property: an honest provider is never accused, and what it billed is always covered', async () => {
    const step = fc.record({
      type: fc.constantFrom('reserve', 'settle', 'drop', 'reconcile', 'review', 'wait'),
      worst: fc.bigInt(1n, 300n),
      share: fc.bigInt(0n, 100n),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        let nowMs = 0
        const book = openSpendingBook(memoryStateStore(), KEY, () => nowMs)
        await book.open('0xa', { settledWei: 0n, owedWei: 0n, ceilingWei: 0n })
        const open: { reservation: Reservation; feeWei: bigint; isBilled: boolean }[] = []
        let billedWei = 0n
        let nonce = 0n
        for (const { type, worst, share } of steps) {
          const feeWei = (worst * share) / 100n
          if (type === 'wait') nowMs += 61_000
          if (type === 'reserve') {
            const reserved = await book.reserve('0xa', wish(worst)).catch(() => undefined)
            // The provider may bill before the client hears of it.
            const isBilled = share % 2n === 0n
            if (reserved) open.push({ reservation: reserved.reservation, feeWei, isBilled })
            if (reserved && isBilled) billedWei += feeWei
          }
          const ended = type === 'settle' || type === 'drop' ? open.shift() : undefined
          if (ended && !ended.isBilled) billedWei += ended.feeWei
          if (ended && type === 'settle')
            await book.settle(ended.reservation, { feeWei: ended.feeWei, nonce: ++nonce })
          if (ended && type === 'drop')
            await book.drop(ended.reservation, { isFree: false, isFailure: false })
          if (type === 'reconcile') assert.equal(await book.reconcile('0xa', billedWei), true)
          if (type === 'review') {
            const refused = (await book.reserve('0xa', wish(worst))).reservation
            assert.equal(await book.reconcile('0xa', billedWei, refused), true)
            await book.drop(refused, { isFree: true, isFailure: false })
          }
          const { spentWei = 0n, doubtWei = 0n } = (await book.find('0xa')) ?? {}
          const unbilledWei = open.reduce((sum, one) => sum + (one.isBilled ? 0n : one.feeWei), 0n)
          assert.ok(spentWei + doubtWei >= billedWei + unbilledWei, `${spentWei} ${doubtWei} ${billedWei}`)
        }
        // Once nothing is under way, the count ends all doubt.
        for (const one of open) {
          if (!one.isBilled) billedWei += one.feeWei
          await book.drop(one.reservation, { isFree: false, isFailure: false })
        }
        nowMs += 61_000
        assert.equal(await book.reconcile('0xa', billedWei), true)
        assert.equal((await book.find('0xa'))?.doubtWei, 0n)
        assert.equal(await book.idleDoubtWei('0xa'), 0n)
      }),
      { numRuns: 200 },
    )
  })

  it('error: a store that fails leaves no ceiling behind; a damaged record is not passed over', async () => {
    const store = memoryStateStore()
    const book = openSpendingBook(store, KEY)
    await book.open('0xa', { settledWei: 0n, owedWei: 0n, ceilingWei: 0n })
    const { set } = store
    store.set = () => Promise.reject(new Error('disk full'))
    await assert.rejects(book.reserve('0xa', wish(5n)), /disk full/)
    store.set = set
    assert.equal((await book.find('0xa'))?.ceilingWei, 0n)
    await book.reserve('0xa', wish(5n))
    assert.equal((await book.find('0xa'))?.ceilingWei, 5n)
    await store.set('book', '{"0xa":{"ceilingWei":"7"}}')
    await assert.rejects(openSpendingBook(store, KEY).all(), { code: 'STORE_CORRUPT' })
  })

  it('behavior: a nonce counts once; what is forgiven takes the count of the provider over, once', async () => {
    const book = openSpendingBook(memoryStateStore(), KEY)
    assert.deepEqual(
      [book.useNonce('0xa', 1n), book.useNonce('0xa', 1n), book.useNonce('0xb', 1n)],
      [true, false, true],
    )
    await book.open('0xa', { settledWei: 0n, owedWei: 0n, ceilingWei: 0n })
    assert.equal(await book.reconcile('0xa', 50n), false)
    await book.forgive('0xa')
    assert.equal(await book.reconcile('0xa', 50n), true)
    assert.equal((await book.find('0xa'))?.spentWei, 50n)
    assert.equal(await book.reconcile('0xa', 51n), false)
  })
})
