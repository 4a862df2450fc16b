import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from './repository.ts'

type ChromiumModule = { findChromium(): string | undefined }

/** The Chromium that the set-up installs. Throws where there is none, with what to do. */
export async function findChromium(): Promise<string> {
  const url = pathToFileURL(join(ROOT, 'scripts/setup/chromium.mjs')).href
  // A script of the set-up, which runs before anything is built and so has no types.
  const { findChromium: find } = (await import(url)) as ChromiumModule
  const path = find()
  if (path !== undefined) return path
  throw new Error('CHROMIUM_MISSING: install Chromium (npm test tries to), or set CHROMIUM_PATH')
}
