import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { npmEnv } from './node.mjs'
import { hashFiles, setStamp, stampOf } from './stamps.mjs'
import { progress, ROOT, runLogged } from './step.mjs'

const STAMP = 'packages'

/** `npm ci` when node_modules is missing or was made from another lock file, or by another Node major version. */
export async function ensurePackages(env, nodeVersion) {
  const modules = join(ROOT, 'node_modules')
  // A linked node_modules belongs to another checkout, which keeps it up to date.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  const major = nodeVersion.replace(/\..*/, '')
  const wanted = `${major} ${process.platform}-${process.arch} ${hashFiles(['package-lock.json', 'package.json', '.npmrc'])}`
  if (existsSync(modules) && stampOf(STAMP) === wanted) return
  setStamp(STAMP, undefined)
  await progress('installing npm packages', () =>
    runLogged('npm-ci', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      env: npmEnv(env),
      code: 'PACKAGES_FAILED',
      exitCode: 69,
    }),
  )
  setStamp(STAMP, wanted)
}
