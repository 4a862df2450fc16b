#!/usr/bin/env node
// The one door of package.json's scripts: sets the checkout up, then runs a task with Node 24.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { ROOT, SetupError } from './setup/step.mjs'
import { setup } from './setup.mjs'

const NODE_OPTIONS = ['--enable-source-maps', '--disable-warning=ExperimentalWarning']

/** What each task runs; `redis` and `build` are off where a task does without (`test` builds as one of its checks). */
const TASKS = {
  build: { args: [] },
  start: { args: ['dist/scripts/start.js'] },
  devnet: { args: ['dist/scripts/devnet.js'] },
  agent: { args: ['dist/agents/cli/main.js', 'agent'] },
  cli: { args: ['dist/agents/cli/main.js'], redis: false, cwd: process.cwd() },
  deploy: { args: ['dist/deploy/main.js'], redis: false },
  bench: { args: ['scripts/bench.mjs'] },
  vectors: { args: ['dist/scripts/vectors.js'], redis: false },
  docs: { args: ['dist/scripts/generate-docs.js'], redis: false },
  test: { args: ['scripts/test.mjs'], build: false, chromium: true },
  'test:fast': { args: ['scripts/test.mjs', '--fast'], build: false },
  lint: { args: ['scripts/lint.mjs'], redis: false, build: false },
  fix: {
    args: ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '.'],
    redis: false,
    build: false,
  },
}

/** Runs the child in this process's place: same terminal, its signals and its exit status. */
async function become(command, args, { cwd, env }) {
  const child = spawn(command, args, { cwd, env, stdio: 'inherit' })
  // A terminal sends Ctrl-C to the child as well; a second copy would look like the user's second, impatient one.
  const forwarded = process.stdin.isTTY ? ['SIGTERM', 'SIGHUP'] : ['SIGTERM', 'SIGHUP', 'SIGINT']
  if (process.stdin.isTTY) process.on('SIGINT', () => undefined)
  for (const signal of forwarded) process.on(signal, () => child.kill(signal))
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => resolve(status ?? 128 + (constants.signals[signal] ?? 0)))
  })
}

async function main([name, ...rest]) {
  const task = Object.hasOwn(TASKS, name ?? '') ? TASKS[name] : undefined
  if (task === undefined) {
    throw new SetupError(
      'UNKNOWN_TASK',
      `unknown task ${name ?? '(none)'}: one of ${Object.keys(TASKS).join(', ')}`,
      64,
    )
  }
  const { node, env } = await setup(task)
  const [file, ...args] = task.args
  if (file === undefined) return 0
  if (!existsSync(join(ROOT, file)))
    throw new SetupError('TASK_MISSING', `${file} is not part of this checkout`, 72)
  return await become(node, [...NODE_OPTIONS, join(ROOT, file), ...args, ...rest], {
    cwd: task.cwd ?? ROOT,
    env,
  })
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error.code ?? 'ERROR'}: ${error.message}\n`)
  process.exitCode = error.exitCode ?? 1
  // Whoever reads only the last line of a test run must see that it failed.
  if (process.argv[2]?.startsWith('test')) process.stdout.write('0 passed, 1 failed\n')
}
