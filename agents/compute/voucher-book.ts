import type { Voucher } from '../../sdk/protocol/voucher.ts'
import type { Store } from '../kernel/store.ts'

export type SignedVoucher = { readonly voucher: Voucher; readonly signature: string }

/** What a voucher must allow: the prices in force, and the manifest of the model that is served. */
export type VoucherService = {
  readonly inputPriceWei: bigint
  readonly outputPriceWei: bigint
  readonly manifestRoot: string | undefined
  /** Prices that are about to come: a voucher that does not allow them too could no longer be posted. */
  readonly next?: { readonly inputPriceWei: bigint; readonly outputPriceWei: bigint } | undefined
}

/** The newest voucher of each user that waits to be posted. */
export type VoucherBook = {
  /** Keeps a voucher whose signature was checked, if its ceiling is above the one kept, or it is the same for longer. */
  keep(signed: SignedVoucher): boolean
  find(user: string): SignedVoucher | undefined
  all(): SignedVoucher[]
  /** The ceiling to count on: that of the chain, or of a voucher that can still be posted and allows this service. */
  ceilingWei(user: string, onChainWei: bigint, service: VoucherService): bigint
  /** Its user waits for it: it is to be posted before prices change. */
  want(user: string): void
  isWanted(user: string): boolean
  /** Forgets it once the chain has it, or never will. */
  drop(user: string, ceilingWei: bigint): void
}

const STEPS = [
  `CREATE TABLE compute_voucher (
     user TEXT PRIMARY KEY,
     ceiling_wei TEXT NOT NULL,
     provider TEXT NOT NULL,
     input_price_wei TEXT NOT NULL,
     output_price_wei TEXT NOT NULL,
     model_root TEXT NOT NULL,
     valid_until INTEGER NOT NULL,
     signature TEXT NOT NULL
   ) STRICT;`,
]

/** What a user names that buys whatever model is served. */
const ANY_MODEL = `0x${'00'.repeat(32)}`

type Row = {
  user: string
  ceiling_wei: string
  provider: string
  input_price_wei: string
  output_price_wei: string
  model_root: string
  valid_until: number
  signature: string
}

/** Whether a voucher is for this service at its prices. */
export function isVoucherFor(voucher: Voucher, service: VoucherService): boolean {
  const { modelRoot } = voucher
  const isAnyModel = modelRoot === ANY_MODEL || modelRoot.toLowerCase() === service.manifestRoot
  return isAnyModel && isPostable(voucher, service)
}

/** Whether the contract takes a voucher at these prices, whatever model runs. */
export function isPostable(
  { inputPriceWei, outputPriceWei }: Voucher,
  service: Pick<VoucherService, 'inputPriceWei' | 'outputPriceWei'>,
): boolean {
  return inputPriceWei >= service.inputPriceWei && outputPriceWei >= service.outputPriceWei
}

/**
 * Opens the book in the agent's database. A voucher counts until `spareSec` before it expires: an answer that was begun on it
 * must end, and the voucher be posted, while it is valid.
 */
export function openVoucherBook(store: Store, { spareSec }: { spareSec: number }): VoucherBook {
  store.migrate('compute-vouchers', STEPS)
  const wanted = new Set<string>()
  const kept = new Map(
    store.all<Row>('SELECT * FROM compute_voucher').map((row) => [row.user, signedVoucher(row)]),
  )
  return {
    keep(signed) {
      const { voucher, signature } = signed
      const known = kept.get(voucher.user)?.voucher
      const isDead = known && Number(known.validUntilSec) <= Date.now() / 1000
      if (known && !isDead && !isBetter(voucher, known)) return false
      store.run(
        'INSERT OR REPLACE INTO compute_voucher VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        ...[voucher.user, String(voucher.ceilingWei), voucher.provider, String(voucher.inputPriceWei)],
        ...[String(voucher.outputPriceWei), voucher.modelRoot, Number(voucher.validUntilSec), signature],
      )
      kept.set(voucher.user, signed)
      return true
    },
    find: (user) => kept.get(user),
    all: () => [...kept.values()],
    ceilingWei(user, onChainWei, service) {
      const voucher = kept.get(user)?.voucher
      if (voucher === undefined || voucher.ceilingWei <= onChainWei) return onChainWei
      const isTimely = Number(voucher.validUntilSec) > Date.now() / 1000 + spareSec
      const isLasting = service.next === undefined || isPostable(voucher, service.next)
      return isTimely && isLasting && isVoucherFor(voucher, service) ? voucher.ceilingWei : onChainWei
    },
    want: (user) => void wanted.add(user),
    isWanted: (user) => wanted.has(user),
    drop(user, ceilingWei) {
      if (kept.get(user)?.voucher.ceilingWei !== ceilingWei) return
      store.run('DELETE FROM compute_voucher WHERE user = ?', user)
      kept.delete(user)
      wanted.delete(user)
    },
  }
}

/** Allows more; or as much, for longer, and at no lower prices. */
function isBetter(voucher: Voucher, known: Voucher): boolean {
  if (voucher.ceilingWei !== known.ceilingWei) return voucher.ceilingWei > known.ceilingWei
  return voucher.validUntilSec > known.validUntilSec && isPostable(voucher, known)
}

function signedVoucher(row: Row): SignedVoucher {
  return {
    voucher: {
      user: row.user,
      provider: row.provider,
      ceilingWei: BigInt(row.ceiling_wei),
      inputPriceWei: BigInt(row.input_price_wei),
      outputPriceWei: BigInt(row.output_price_wei),
      modelRoot: row.model_root,
      validUntilSec: BigInt(row.valid_until),
    },
    signature: row.signature,
  }
}
