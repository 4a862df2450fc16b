import { SetupError } from './step.mjs'
import { findCommand, installPackage } from './system-package.mjs'

const PACKAGES = { dnf: 'redis', yum: 'redis', apk: 'redis', pacman: 'redis', zypper: 'redis', brew: 'redis' }

const missing = (why) =>
  new SetupError('REDIS_MISSING', `redis-server is needed and ${why}; install it or set REDIS_URL`, 78)

/** Makes sure that there is a `redis-server` to start, or a REDIS_URL to use. */
export async function ensureRedis() {
  const found = () => findCommand(['redis-server']) !== undefined
  if (process.env.REDIS_URL || found()) return
  await installPackage({ name: 'redis-server', packages: PACKAGES, found, missing })
}
