import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/**
 * Sets variables in a `.env` file, keeping every other line as it is; written in one step, mode 0600. A variable that
 * stands there twice is kept once, since the last one would win.
 *
 * Errors: CONFIG_INVALID for a value that no quotes can hold.
 */
export function updateEnvFile(path: string, variables: Readonly<Record<string, string>>): void {
  const before = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
  const left = new Map(Object.entries(variables))
  const lines = before.flatMap((line) => {
    const name = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=/.exec(line)?.[1]
    if (name === undefined || variables[name] === undefined) return [line]
    const value = left.get(name)
    left.delete(name)
    return value === undefined ? [] : [`${name}=${quoted(value)}`]
  })
  while (lines.at(-1) === '') lines.pop()
  for (const [name, value] of left) lines.push(`${name}=${quoted(value)}`)
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, `${lines.join('\n')}\n`, { mode: 0o600, flush: true })
  renameSync(temporary, path)
}

/** Inside single quotes and backticks nothing has a meaning. */
function quoted(value: string): string {
  if (/^[\w./:@+-]*$/.test(value)) return value
  const mark = ["'", '`', '"'].find((candidate) => !value.includes(candidate))
  if (mark !== undefined && !value.includes('\n')) return `${mark}${value}${mark}`
  throw new ZerogError('CONFIG_INVALID', `a .env file cannot hold the value ${JSON.stringify(value)}`)
}
