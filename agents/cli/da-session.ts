import { connectDa, type DaChain } from '../../sdk/chain/da-chain.ts'
import type { Output } from './output.ts'
import { type Session, withSession } from './session.ts'

/** A session on a chain with data availability. */
export type DaSession = Omit<Session, 'chain'> & { readonly chain: DaChain }

/** Makes a commander action of a handler that needs data availability. Errors: ADDRESS_BOOK_INVALID where it is not deployed. */
export function withDaSession<A extends unknown[], O>(
  handler: (session: DaSession, output: Output, args: A, options: O) => Promise<void>,
) {
  return withSession(async (session: Session, output: Output, args: A, options: O) => {
    const chain = await connectDa(session.chain, { signal: session.signal })
    await handler({ ...session, chain }, output, args, options)
  })
}
