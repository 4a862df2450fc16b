import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBuilt } from '../setup/build.mjs'
import { withLock } from '../setup/lock.mjs'
import { runLogged, STATE_DIR } from '../setup/step.mjs'
import { LINTERS } from './linters.mjs'

const stripColour = (text) => text.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '')

/** Runs a check that passes or fails as one. */
async function single(name, work) {
  const startedMs = Date.now()
  try {
    await work()
    return { name, passed: 1, failed: 0, skipped: 0, ms: Date.now() - startedMs }
  } catch (error) {
    return { name, passed: 0, failed: 1, skipped: 0, ms: Date.now() - startedMs, output: error.message }
  }
}

export const build = (env) => single('build', () => withLock(() => ensureBuilt(env)))

export const lint = (env) =>
  single('lint', async () => {
    for (const [name, ...args] of LINTERS) {
      await runLogged(`lint-${name}`, name, args, { env, code: 'LINT_FAILED' })
    }
  })

/** Hardhat's Solidity tests in `profile`; counts come from its summary, so a run without one is a failure. */
export async function solidity(env, { profile, files }) {
  const startedMs = Date.now()
  const args = ['test', 'solidity', '--no-compile', '--test-profile', profile, ...files]
  let problem
  try {
    await runLogged('solidity', 'hardhat', args, { env, code: 'TESTS_FAILED' })
  } catch (error) {
    problem = error.message
  }
  const text = stripColour(readFileSync(join(STATE_DIR, 'logs/solidity.log'), 'utf8'))
  const count = (word) => Number(new RegExp(`^\\s*(\\d+) ${word}`, 'm').exec(text)?.[1] ?? 0)
  const passed = count('passing')
  const failed = count('failing')
  if (problem === undefined && passed === 0) problem = `no Solidity test ran\n${text}`
  return {
    name: `solidity (${profile})`,
    passed,
    failed: failed === 0 && problem !== undefined ? 1 : failed,
    skipped: count('skipped'),
    ms: Date.now() - startedMs,
    output: problem,
  }
}
