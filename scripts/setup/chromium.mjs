import { existsSync } from 'node:fs'
import { SetupError } from './step.mjs'
import { findCommand, installPackage } from './system-package.mjs'

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome']
const APPLICATIONS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

const missing = (why) =>
  new SetupError(
    'CHROMIUM_MISSING',
    `the browser test needs Chromium and ${why}; install it or set CHROMIUM_PATH`,
    78,
  )

/** The path of a Chromium that can be started: CHROMIUM_PATH, or one of this machine; undefined if there is none. */
export function findChromium() {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH
  return findCommand(COMMANDS) ?? APPLICATIONS.find((path) => existsSync(path))
}

/** Makes sure that there is a Chromium. Throws CHROMIUM_MISSING when it cannot be installed. */
export async function ensureChromium() {
  const found = () => findChromium() !== undefined
  if (found()) return
  await installPackage({ name: 'chromium', found, missing })
}
