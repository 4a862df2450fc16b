import { posix } from 'node:path'

/** One import of a module; `target` is a path in the repository for ours, the bare specifier for packages. */
export type Import = { target: string; ours: boolean; typeOnly: boolean }

/** Source without comments; strings keep their place, so that `//` inside a URL does no harm. */
export function withoutComments(source: string): string {
  return source.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_all, text: string | undefined) => text ?? '',
  )
}

const STATEMENT = /^\s*(import|export)(\s+type)?\b(?:[^'"`;=]*?\bfrom)?\s*(['"])([^'"\n]+)\3/gm
const DYNAMIC = /\bimport\(\s*(['"])([^'"\n]+)\1/g

/** All static and dynamic imports of a TypeScript source at `path` (relative to the checkout). */
export function importsOf(path: string, source: string): Import[] {
  const text = withoutComments(source)
  const found = [
    ...[...text.matchAll(STATEMENT)].map((match) => ({
      spec: match[4] ?? '',
      typeOnly: match[2] !== undefined,
    })),
    ...[...text.matchAll(DYNAMIC)].map((match) => ({ spec: match[2] ?? '', typeOnly: false })),
  ]
  return found.map(({ spec, typeOnly }) => {
    const ours = spec.startsWith('.')
    return { target: ours ? posix.join(posix.dirname(path), spec) : spec, ours, typeOnly }
  })
}

/** The first cycle in a graph of files, as the list of files around it, or undefined. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const state = new Map<string, 'open' | 'done'>()
  const path: string[] = []
  const visit = (file: string): string[] | undefined => {
    if (state.get(file) === 'done') return undefined
    if (state.get(file) === 'open') return [...path.slice(path.indexOf(file)), file]
    state.set(file, 'open')
    path.push(file)
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    state.set(file, 'done')
    return undefined
  }
  for (const file of graph.keys()) {
    const cycle = visit(file)
    if (cycle !== undefined) return cycle
  }
  return undefined
}
