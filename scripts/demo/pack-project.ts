import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'

const packed = z.array(z.object({ filename: z.string() })).min(1)

/** Packs this project as npm would publish it, and returns the path of the tarball: a real file to store. */
export async function packProject(root: string, folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const run = promisify(execFile)
  // npm comes with the Node.js that runs us, or stands on the PATH.
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}` },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 120_000,
  })
  const [first] = packed.parse(JSON.parse(stdout))
  return join(folder, first?.filename ?? '')
}
