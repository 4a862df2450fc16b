import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { output, progress, runLogged } from './step.mjs'

/** Package managers with the commands that install a package, in the order in which they are looked for. */
const MANAGERS = [
  {
    tool: 'apt-get',
    steps: (name) => [
      ['update', '-q'],
      ['install', '-y', '-q', '--no-install-recommends', name],
    ],
    root: true,
  },
  { tool: 'dnf', steps: (name) => [['install', '-y', name]], root: true },
  { tool: 'yum', steps: (name) => [['install', '-y', name]], root: true },
  { tool: 'apk', steps: (name) => [['add', '--no-cache', name]], root: true },
  { tool: 'pacman', steps: (name) => [['-Sy', '--noconfirm', name]], root: true },
  { tool: 'zypper', steps: (name) => [['--non-interactive', 'install', name]], root: true },
  { tool: 'brew', steps: (name) => [['install', name]], root: false },
]

/** The first of these commands that can be run, by its path. */
export function findCommand(commands) {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return commands.flatMap((command) => folders.map((folder) => join(folder, command))).find(isExecutable)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Installs a package of the operating system. `packages` gives its name for managers that do not call it `name`. Without asking: root or
 * password-less sudo, or it throws what `missing` makes of the reason.
 */
export async function installPackage({ name, packages = {}, found, missing }) {
  const manager = MANAGERS.find(({ tool }) => findCommand([tool]) !== undefined)
  if (manager === undefined) throw missing('no known package manager was found')
  const isRoot = process.getuid?.() === 0
  const viaSudo = manager.root && !isRoot
  if (viaSudo && (await output('sudo', ['-n', 'true'])) === undefined) {
    throw missing(`installing it with ${manager.tool} needs root or password-less sudo`)
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', HOMEBREW_NO_AUTO_UPDATE: '1' }
  await progress(`installing ${name} with ${manager.tool}`, async () => {
    const steps = manager.steps(packages[manager.tool] ?? name)
    for (const [index, step] of steps.entries()) {
      const [command, ...args] = viaSudo
        ? ['sudo', '-n', '-E', manager.tool, ...step]
        : [manager.tool, ...step]
      try {
        await runLogged(`${name}-${index}`, command, args, { env, code: 'INSTALL_FAILED', exitCode: 78 })
      } catch (error) {
        // A stale package index (step 0 of several) may still serve the install: only the last step decides.
        if (index === steps.length - 1) throw missing(`its installation failed:\n${error.message}\n`)
      }
    }
    if (!found()) throw missing(`${manager.tool} installed none that can be found`)
  })
}
