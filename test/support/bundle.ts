import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'
import { ROOT } from './repository.ts'

/** A bundle of `entry`, a source of this repository, as a page loads it; tells the path of its first file and what esbuild does. */
export async function bundle(entry: string, outdir: string): Promise<{ entry: string; metafile: Metafile }> {
  const { metafile } = await build({
    entryPoints: { index: join(ROOT, entry) },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    minify: true,
    splitting: true,
    outdir,
    metafile: true,
    logLevel: 'silent',
  })
  return { entry: join(outdir, 'index.js'), metafile }
}

/** The outputs that importing `index.js` loads, without those of dynamic imports. */
export function loadedAtOnce({ outputs }: Metafile): string[] {
  const seen = new Set(Object.keys(outputs).filter((path) => path.endsWith('/index.js')))
  for (const path of seen)
    for (const { path: next, kind } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement') seen.add(next)
  return [...seen]
}
