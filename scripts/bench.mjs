#!/usr/bin/env node
// npm run bench -- <noun> [--json FILE]: runs the compiled benchmark scripts/bench/<noun>.ts.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from './setup/step.mjs'

const folder = join(ROOT, 'dist/scripts/bench')
const known = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.js')) : []
const nouns = known.map((name) => name.slice(0, -'.js'.length)).sort()
const [noun, ...rest] = process.argv.slice(2)

if (noun === undefined || !nouns.includes(noun)) {
  process.stderr.write(`usage: npm run bench -- <${nouns.join('|') || 'noun'}> [--json FILE]\n`)
  process.exitCode = 64
} else {
  const script = join(folder, `${noun}.js`)
  process.argv.splice(1, process.argv.length, script, ...rest)
  await import(pathToFileURL(script).href)
}
