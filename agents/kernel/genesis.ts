import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Store } from './store.ts'

export type ChainIdentity = {
  readonly chainId: bigint
  readonly genesisHash: string
  /** Contract name to address. */
  readonly addresses: Readonly<Record<string, string>>
}

/**
 * Ties a data folder to one chain and one deployment: remembers them at the first start and refuses others later, so
 * that a cursor or a signing record of one chain is never used on another. New contract names may be added.
 *
 * Errors: WRONG_CHAIN (meta: field, stored, actual).
 */
export function bindChain(store: Store, identity: ChainIdentity): void {
  const fields = {
    'chain id': String(identity.chainId),
    'genesis hash': identity.genesisHash.toLowerCase(),
    ...Object.fromEntries(
      Object.entries(identity.addresses).map(([name, address]) => [
        `address of ${name}`,
        address.toLowerCase(),
      ]),
    ),
  }
  store.transaction(() => {
    for (const [field, actual] of Object.entries(fields)) {
      const key = `bound ${field}`
      const stored = store.readMeta(key)
      if (stored === undefined) store.writeMeta(key, actual)
      else if (stored !== actual) {
        throw new ZerogError(
          'WRONG_CHAIN',
          `the data folder belongs to another deployment: its ${field} is ${stored}, the chain says ${actual}`,
          { meta: { field, stored, actual } },
        )
      }
    }
  })
}
