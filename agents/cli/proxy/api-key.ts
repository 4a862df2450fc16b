import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import type { Store } from '../../kernel/store.ts'

const PREFIX = 'sk-zerog-'
const META = 'proxy-key-sha256'

/** A proxy's key; only its hash is kept. */
export type ApiKey = {
  /** The key itself, once: when it was made just now. */
  readonly fresh: string | undefined
  /** Throws UNAUTHORIZED unless the header carries the key. */
  check(authorization: string | undefined): void
}

/** The key of a store, made when there is none or `renew` is asked for: older ones work no longer. */
export function openApiKey(store: Store, { renew = false } = {}): ApiKey {
  const known = renew ? undefined : store.readMeta(META)
  const fresh = known === undefined ? PREFIX + randomBytes(24).toString('base64url') : undefined
  const kept = known ?? sha256(fresh ?? '').toString('hex')
  if (known === undefined) store.writeMeta(META, kept)
  const wanted = Buffer.from(kept, 'hex')
  return {
    fresh,
    check(authorization) {
      const [scheme = '', key = ''] = (authorization ?? '').split(' ')
      // Hashes of one length, compared in constant time: how long it takes tells nothing of the key.
      if (scheme.toLowerCase() === 'bearer' && timingSafeEqual(sha256(key), wanted)) return
      throw new ZerogError('UNAUTHORIZED', 'the API key is not that of this proxy')
    },
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
