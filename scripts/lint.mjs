#!/usr/bin/env node
// npm run lint: every linter, also after one has found something.
import { spawnSync } from 'node:child_process'
import { ROOT } from './setup/step.mjs'
import { LINTERS } from './test/linters.mjs'

for (const [name, ...args] of LINTERS) {
  const { error, status } = spawnSync(name, args, { cwd: ROOT, stdio: 'inherit' })
  if (error !== undefined) process.stderr.write(`${name}: ${error.message}\n`)
  if (status !== 0) process.exitCode = 1
}
