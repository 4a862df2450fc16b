import { readInferenceAccount, readReleaseNonce } from '../../sdk/chain/compute.ts'
import { read } from '../../sdk/chain/read.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { inferenceDomain, signInferenceMessage } from '../../sdk/protocol/voucher.ts'
import type { HttpServer } from '../kernel/http.ts'
import type { ComputeContext } from './context.ts'

/** Time to use a release in. The shorter it is, the sooner money that was not taken pays for requests again. */
const VALID_SEC = 300
const MAX_BODY_BYTES = 1024

/**
 * POST /v1/release: lets the caller take back at once what it neither owes nor has under way nor has asked back before; the lock is
 * for that, and for providers that do not answer. Until the release is used or has expired, its amount is set aside. Asked again meanwhile, the answer is the same.
 */
export function addReleaseRoute(server: HttpServer, ctx: ComputeContext): void {
  const { chain, self: provider, releases, receipts, admission, signal } = ctx

  server.post('/v1/release', { bodyLimit: MAX_BODY_BYTES }, async (request) => {
    const { user } = await ctx.checkSession(request.headers.authorization)
    const pair = { user, provider }
    const owed = (): bigint => receipts.unsettledWei(user) + admission.reservedWei(user)
    const owedBeforeWei = owed()
    const [account, chainNonce, block] = await Promise.all([
      readInferenceAccount(chain, pair, { signal }),
      readReleaseNonce(chain, pair, { signal }),
      read(ctx.provider.getBlock('latest'), { signal }),
    ])
    const nowSec = Math.max(Math.floor(Date.now() / 1000), block?.timestamp ?? 0)
    // From here to the entry nothing waits: no request can be let in between. What was settled meanwhile may still be in
    // the balance that was read.
    const owedWei = larger(owedBeforeWei, owed())
    // What was asked back may leave through the lock as well: the release must not reach into what is owed then.
    const amountWei = (account?.balanceWei ?? 0n) - (account?.pendingRefundWei ?? 0n) - owedWei
    if (amountWei <= 0n && releases.find(user) === undefined)
      throw new ZerogError(
        'COMPUTE_BALANCE_TOO_LOW',
        `nothing is free: ${owedWei} wei are owed or under way`,
        {
          meta: { availableWei: 0n, neededWei: owedWei },
        },
      )
    const release = releases.open({ user, amountWei, validUntilSec: BigInt(nowSec + VALID_SEC) }, chainNonce)
    const domain = inferenceDomain(ctx.chainId, chain.compute.addresses.InferenceServing)
    const signature = await signInferenceMessage(ctx.wallet, domain, { type: 'Release', message: release })
    return { release, signature }
  })
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
