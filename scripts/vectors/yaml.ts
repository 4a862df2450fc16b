/**
 * Reads the part of YAML that test vectors of Ethereum are written in: block mappings and sequences, flow lists and mappings over any number
 * of lines, quoted strings, whole numbers, true, false and null; other plain scalars are strings. Throws SyntaxError for anything else.
 */
export function parseYaml(text: string): unknown {
  const lines = linesOf(text)
  const value = parseBlock(lines)
  if (lines.length > 0) throw new SyntaxError(`unexpected line: ${lines[0]?.text.slice(0, 80)}`)
  return value
}

type Line = { indent: number; text: string }

/** Lines without comments and blank ones; a flow collection that goes on is joined with what follows. */
function linesOf(text: string): Line[] {
  const lines: Line[] = []
  let depth = 0
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    if (depth === 0 && (line === '' || line === '---' || line === '...' || line.startsWith('#'))) continue
    const last = lines.at(-1)
    if (depth > 0 && last !== undefined) last.text += ` ${line}`
    else lines.push({ indent: raw.length - raw.trimStart().length, text: line })
    depth += brackets(line)
  }
  return lines
}

/** Brackets opened less those closed, outside of quotes. */
function brackets(text: string): number {
  const bare = text.replaceAll(/'[^']*'|"[^"]*"/g, '')
  return (bare.match(/[[{]/g)?.length ?? 0) - (bare.match(/[\]}]/g)?.length ?? 0)
}

const KEY = /^([A-Za-z_]\w*):(?:\s+(.*))?$/s

/** The value that begins at the first line; takes its lines away. */
function parseBlock(lines: Line[]): unknown {
  const [first] = lines
  if (first === undefined) return null
  if (isItem(first)) return parseSequence(lines, first.indent)
  if (KEY.test(first.text)) return parseMapping(lines, first.indent)
  lines.shift()
  return parseFlow(first.text)
}

function parseSequence(lines: Line[], indent: number): unknown[] {
  const items: unknown[] = []
  for (let line = lines[0]; line?.indent === indent && isItem(line); line = lines[0]) {
    const rest = line.text.slice(1).trimStart()
    if (rest === '') lines.shift()
    else lines[0] = { indent: indent + line.text.length - rest.length, text: rest }
    items.push(parseBlock(lines))
  }
  return items
}

function parseMapping(lines: Line[], indent: number): Record<string, unknown> {
  const entries: [string, unknown][] = []
  for (let line = lines[0]; line?.indent === indent; line = lines[0]) {
    const [, key, value] = KEY.exec(line.text) ?? []
    if (key === undefined) break
    lines.shift()
    entries.push([key, value === undefined ? parseNested(lines, indent) : parseFlow(value)])
  }
  return Object.fromEntries(entries)
}

/** What stands below a key: deeper lines, or items at the same depth. */
function parseNested(lines: Line[], indent: number): unknown {
  const [next] = lines
  if (next === undefined) return null
  return next.indent > indent || (next.indent === indent && isItem(next)) ? parseBlock(lines) : null
}

function isItem({ text }: Line): boolean {
  return text === '-' || text.startsWith('- ')
}

/** A scalar or a flow collection. */
function parseFlow(text: string): unknown {
  const tokens = text.match(/'[^']*'|"[^"]*"|[[\]{},]|:(?=\s|$)|[^\s[\]{},:'"]+/g) ?? []
  let at = 0
  const take = () => tokens[at++]

  function value(): unknown {
    const token = take()
    if (token === '[') return list()
    if (token === '{') return mapping()
    if (token === undefined || /^[\]},:]$/.test(token)) throw new SyntaxError('a value is missing')
    return scalar(token)
  }
  function list(): unknown[] {
    const items: unknown[] = []
    while (tokens[at] !== ']') {
      items.push(value())
      if (tokens[at] === ',') at++
      else if (tokens[at] !== ']') throw new SyntaxError('a list does not end')
    }
    at++
    return items
  }
  function mapping(): Record<string, unknown> {
    const entries: [string, unknown][] = []
    while (tokens[at] !== '}') {
      const key = String(scalar(take() ?? ''))
      if (take() !== ':') throw new SyntaxError('a key has no value')
      entries.push([key, value()])
      if (tokens[at] === ',') at++
      else if (tokens[at] !== '}') throw new SyntaxError('a mapping does not end')
    }
    at++
    return Object.fromEntries(entries)
  }

  const result = value()
  if (at !== tokens.length) throw new SyntaxError('something follows a value')
  return result
}

function scalar(token: string): unknown {
  if (/^['"]/.test(token)) return token.slice(1, -1)
  if (token === 'null' || token === '~') return null
  if (token === 'true' || token === 'false') return token === 'true'
  return /^-?\d+$/.test(token) ? Number(token) : token
}
