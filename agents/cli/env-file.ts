import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** Sets variables in a `.env` file, keeping every other line as it is; written in one step, mode 0600. */
export function updateEnvFile(path: string, variables: Readonly<Record<string, string>>): void {
  const before = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
  const left = new Map(Object.entries(variables))
  const lines = before.map((line) => {
    const name = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=/.exec(line)?.[1]
    const value = name === undefined ? undefined : left.get(name)
    if (name === undefined || value === undefined) return line
    left.delete(name)
    return `${name}=${quoted(value)}`
  })
  while (lines.at(-1) === '') lines.pop()
  for (const [name, value] of left) lines.push(`${name}=${quoted(value)}`)
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, `${lines.join('\n')}\n`, { mode: 0o600, flush: true })
  renameSync(temporary, path)
}

function quoted(value: string): string {
  return /^[\w./:@+-]*$/.test(value) ? value : JSON.stringify(value)
}
