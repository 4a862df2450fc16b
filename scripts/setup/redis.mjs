import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { output, progress, runLogged, SetupError } from './step.mjs'

const INSTALLERS = [
  {
    tool: 'apt-get',
    steps: [
      ['update', '-q'],
      ['install', '-y', '-q', '--no-install-recommends', 'redis-server'],
    ],
    root: true,
  },
  { tool: 'dnf', steps: [['install', '-y', 'redis']], root: true },
  { tool: 'yum', steps: [['install', '-y', 'redis']], root: true },
  { tool: 'apk', steps: [['add', '--no-cache', 'redis']], root: true },
  { tool: 'pacman', steps: [['-Sy', '--noconfirm', 'redis']], root: true },
  { tool: 'zypper', steps: [['--non-interactive', 'install', 'redis']], root: true },
  { tool: 'brew', steps: [['install', 'redis']], root: false },
]

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const missing = (why) =>
  new SetupError('REDIS_MISSING', `redis-server is needed and ${why}; install it or set REDIS_URL`, 78)

/** Makes sure that there is a `redis-server` to start, or a REDIS_URL to use. */
export async function ensureRedis() {
  if (process.env.REDIS_URL || onPath('redis-server')) return
  const installer = INSTALLERS.find(({ tool }) => onPath(tool))
  if (installer === undefined) throw missing('no known package manager was found')
  const isRoot = process.getuid?.() === 0
  const viaSudo = installer.root && !isRoot
  if (viaSudo && (await output('sudo', ['-n', 'true'])) === undefined) {
    throw missing(`installing it with ${installer.tool} needs root or password-less sudo`)
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', HOMEBREW_NO_AUTO_UPDATE: '1' }
  await progress(`installing redis-server with ${installer.tool}`, async () => {
    for (const [index, step] of installer.steps.entries()) {
      const [command, ...args] = viaSudo
        ? ['sudo', '-n', '-E', installer.tool, ...step]
        : [installer.tool, ...step]
      try {
        await runLogged(`redis-${index}`, command, args, { env, code: 'REDIS_MISSING', exitCode: 78 })
      } catch (error) {
        // A stale package index (step 0 of several) may still serve the install: only the last step decides.
        if (index === installer.steps.length - 1)
          throw missing(`its installation failed:\n${error.message}\n`)
      }
    }
    if (!onPath('redis-server')) throw missing(`${installer.tool} installed no redis-server on PATH`)
  })
}
