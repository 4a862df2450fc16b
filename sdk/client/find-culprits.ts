import { ZerogError } from '../protocol/errors.ts'

/** So often may one accuse another before it counts as the cause itself; as many as may fail at once by default. */
const MOST_ACCUSATIONS = 2

/**
 * Says, round by round of one upload, whom to replace of the custodians that gave no signature.
 *
 * Who fails on its own account goes. Where all that failed could not read from another custodian, the one that two or more
 * of them name goes, since it alone may be what they have in common; one accuser alone goes itself, and so does who has
 * accused several before, so that a few in league cannot drive out everybody else.
 */
export function createCulprits(): (failures: ReadonlyMap<string, unknown>) => [string, unknown][] {
  const accusations = new Map<string, number>()

  return (failures) => {
    const all = [...failures]
    const own = all.filter(([, error]) => accusedBy(error) === undefined)
    if (own.length > 0) return own
    const liars = all.filter(([accuser]) => (accusations.get(accuser) ?? 0) >= MOST_ACCUSATIONS)
    if (liars.length > 0) return liars
    const accused = Map.groupBy(all, ([, error]) => accusedBy(error) ?? '')
    const [worst] = [...accused]
      .filter(([name, accusers]) => name !== '' && accusers.length > 1)
      .sort(([, a], [, b]) => b.length - a.length)
    const [name, [first] = []] = worst ?? []
    if (name === undefined || first === undefined) return all.slice(0, 1)
    for (const [accuser] of accused.get(name) ?? [])
      accusations.set(accuser, (accusations.get(accuser) ?? 0) + 1)
    return [[name, first[1]]]
  }
}

/** Whom a custodian says it could not read from: a name in lower case, or '' where it gives none. */
function accusedBy(error: unknown): string | undefined {
  if (!(error instanceof ZerogError) || error.code !== 'PEER_UNREACHABLE') return undefined
  const { provider, status } = error.meta
  if (status === undefined) return undefined
  return typeof provider === 'string' ? provider.toLowerCase() : ''
}
