import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'
import { ROOT } from './repository.ts'

/** The SDK as a page loads it: the path of `index.js` in `outdir`, and what esbuild tells of inputs and outputs. */
export async function bundleSdk(outdir: string): Promise<{ entry: string; metafile: Metafile }> {
  const { metafile } = await build({
    entryPoints: [join(ROOT, 'sdk/index.ts')],
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
