import { readReleaseNonce } from '../../../sdk/chain/compute.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import type { ReleaseEntry } from '../release-book.ts'

/** A block that replaces another may be older by this much. */
const SPARE_SEC = 60n

/**
 * Ends releases that were used or have expired: what is left of the account pays for requests again. A used one a block later, so
 * that no request that read the balance before it is let in on it.
 */
export function endReleases(): Duty<ReleaseEntry, ComputeContext> {
  /** Uses that were seen, by user and nonce, and the block. */
  const used = new Map<string, number>()
  return {
    name: 'end-releases',
    local: true,

    async due({ releases, accounts, chain, self: provider, head, signal }) {
      const nowSec = BigInt(head.timestampSec)
      // Admission counts the balance of the tip, too: a user who has taken its money and pays in again waits for nothing.
      const options = { blockTag: head.number, signal }
      const checked = await Promise.all(
        releases.all().map(async (entry) => {
          if (nowSec > entry.validUntilSec + SPARE_SEC) return [entry]
          const { user, nonce } = entry
          if ((await readReleaseNonce(chain, { user, provider }, options)) < nonce) return []
          const seenAt = used.get(idOf(entry))
          if (seenAt !== undefined && seenAt < head.number) return [entry]
          used.set(idOf(entry), seenAt ?? head.number)
          accounts.forget(user)
          return []
        }),
      )
      return checked.flat()
    },

    id: idOf,

    async perform(entry, { releases, accounts }) {
      // Whoever asks next must see the balance without it.
      accounts.forget(entry.user)
      releases.drop(entry)
      used.delete(idOf(entry))
    },
  }
}

const idOf = ({ user, nonce }: ReleaseEntry): string => `release-${user}-${nonce}`
