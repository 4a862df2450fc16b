import { readReleaseNonce } from '../../../sdk/chain/compute.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import type { ReleaseEntry } from '../release-book.ts'

/** A block that replaces another may be older by this much. */
const SPARE_SEC = 60n

/** Ends releases that were used or have expired: what is left of the account pays for requests again. */
export const endReleases: Duty<ReleaseEntry, ComputeContext> = {
  name: 'end-releases',
  local: true,

  async due({ releases, chain, self: provider, head, signal }) {
    const nowSec = BigInt(head.timestampSec)
    // Admission counts the balance of the tip, too: a user who has taken its money and pays in again waits for nothing.
    const options = { blockTag: head.number, signal }
    const checked = await Promise.all(
      releases.all().map(async (entry) => {
        if (nowSec > entry.validUntilSec + SPARE_SEC) return [entry]
        const nonce = await readReleaseNonce(chain, { user: entry.user, provider }, options)
        return nonce >= entry.nonce ? [entry] : []
      }),
    )
    return checked.flat()
  },

  id: ({ user, nonce }) => `release-${user}-${nonce}`,

  async perform(entry, { releases, accounts }) {
    // Whoever asks next must see the balance without it.
    accounts.forget(entry.user)
    releases.drop(entry)
  },
}
