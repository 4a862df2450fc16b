import type { Interface, ParamType } from 'ethers'

/** The parts of a log that decoding needs. */
export type RawLog = { readonly address: string; readonly topics: readonly string[]; readonly data: string }

/** Where contracts stand: what a table needs of an address book. */
type Book<C extends string> = {
  readonly contracts: Readonly<Partial<Record<C, { readonly address: string } | undefined>>>
}

/** One decoded log of a table whose events have the arguments `A`; switch on `name`. */
export type TableEvent<A> = { [N in keyof A]: { readonly name: N; readonly args: A[N] } }[keyof A]

/** Filters and decoding for the events that some contracts emit. */
export type EventTable<A, C extends string> = {
  /** Topic 0 of an event. */
  topic(name: keyof A): string
  /** The filter for eth_getLogs or a follower that finds the named events of a deployment. */
  filter(book: Book<C>, names: readonly (keyof A)[]): { address: string[]; topics: [string[]] }
  /** Decodes a log of a deployment into plain data; undefined when it is none of the table's events or malformed. */
  decode(book: Book<C>, log: RawLog): TableEvent<A> | undefined
}

/** A table over contracts with their interfaces and the names of the events of each; `A` are the argument types by name. */
export function createEventTable<A, C extends string>(
  emitters: Readonly<Record<C, { readonly abi: Interface; readonly names: readonly (keyof A & string)[] }>>,
): EventTable<A, C> {
  // The keys of the record are exactly its type parameter.
  const rows = (Object.keys(emitters) as C[]).map((contract) => ({ contract, ...emitters[contract] }))

  function topic(name: keyof A): string {
    const emitter = rows.find(({ names }) => names.some((own) => own === name))
    const fragment = emitter?.abi.getEvent(String(name)) ?? null
    // Unreachable unless the table disagrees with the ABIs, which the tests rule out.
    if (fragment === null) throw new TypeError(`no event ${String(name)}`)
    return fragment.topicHash
  }

  return {
    topic,

    filter: (book, names) => ({
      address: rows
        .filter((row) => row.names.some((own) => names.includes(own)))
        .flatMap(({ contract }) => book.contracts[contract]?.address ?? []),
      topics: [names.map(topic)],
    }),

    decode(book, log) {
      const address = log.address.toLowerCase()
      const emitter = rows.find(({ contract }) => book.contracts[contract]?.address.toLowerCase() === address)
      if (emitter === undefined) return undefined
      try {
        const parsed = emitter.abi.parseLog(log)
        const name = emitter.names.find((candidate) => candidate === parsed?.name)
        if (parsed === null || name === undefined) return undefined
        const args = Object.fromEntries(
          parsed.fragment.inputs.map((input, i) => [input.name, plain(input, parsed.args[i])]),
        )
        // The ABI that parsed the log is the one the argument types were generated from.
        return { name, args } as unknown as TableEvent<A>
      } catch {
        return undefined
      }
    },
  }
}

/** Plain data in place of ethers' results, which are proxies and confuse fields such as `length` with an array's own. */
function plain(type: ParamType, value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const { arrayChildren, components } = type
  if (arrayChildren !== null) return [...value].map((item) => plain(arrayChildren, item))
  return Object.fromEntries(
    (components ?? []).map((component, i) => [component.name, plain(component, value[i])]),
  )
}
