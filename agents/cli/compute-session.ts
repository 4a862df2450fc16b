import { COMPUTE_CONTRACT_NAMES } from '../../sdk/chain/address-book.ts'
import { type ComputeChain, connectCompute } from '../../sdk/chain/compute-chain.ts'
import type { Chain } from '../../sdk/chain/connect.ts'
import type { Output } from './output.ts'
import { type Session, withSession } from './session.ts'

/** A session on a chain with compute. */
export type ComputeSession = Omit<Session, 'chain'> & { readonly chain: ComputeChain }

/** Makes a commander action of a handler that needs compute. Errors: ADDRESS_BOOK_INVALID where it is not deployed. */
export function withComputeSession<A extends unknown[], O>(
  handler: (session: ComputeSession, output: Output, args: A, options: O) => Promise<void>,
) {
  return withSession(async (session: Session, output: Output, args: A, options: O) => {
    const chain = await connectCompute(session.chain, { signal: session.signal })
    await handler({ ...session, chain }, output, args, options)
  })
}

/** The chain with compute; undefined where it is not deployed, or by an older version. */
export async function findCompute(chain: Chain, signal: AbortSignal): Promise<ComputeChain | undefined> {
  const isThere = COMPUTE_CONTRACT_NAMES.every((name) => chain.book.contracts[name] !== undefined)
  return isThere ? connectCompute(chain, { signal }) : undefined
}
