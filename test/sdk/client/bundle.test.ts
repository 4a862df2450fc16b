import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { build } from 'esbuild'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { prepareFile } from '../../../sdk/client/prepare.ts'
import { randomBytes } from '../../support/content.ts'
import { ROOT } from '../../support/repository.ts'

/** Nothing of contract creation belongs in a web page. */
const MAX_BUNDLE_BYTES = 1_200_000

describe('the browser bundle', () => {
  it('holds no Node.js module and no contract bytecode, and computes the same roots', async () => {
    const { outputFiles, metafile } = await build({
      entryPoints: [join(ROOT, 'sdk/index.ts')],
      bundle: true,
      format: 'esm',
      platform: 'browser',
      minify: true,
      write: false,
      metafile: true,
    })
    const [bundle] = outputFiles
    assert(bundle !== undefined && bundle.contents.length < MAX_BUNDLE_BYTES)
    const inputs = Object.keys(metafile.inputs)
    assert.deepEqual(
      inputs.filter((path) => /-node\.ts$|mocks\/|factories\/(?!interfaces)/.test(path)),
      [],
    )
    const module = await import(
      `data:text/javascript;base64,${Buffer.from(bundle.contents).toString('base64')}`
    )
    const bytes = randomBytes(100_000, 4)
    const source = bytesSource(bytes)
    assert.deepEqual(
      await module.prepareFile({
        source: module.blobSource(new Blob([new Uint8Array(bytes)])),
        parityShards: 8,
      }),
      await prepareFile({ source, parityShards: 8 }),
    )
  })
})
