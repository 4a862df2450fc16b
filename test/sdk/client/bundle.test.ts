import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { prepareFile } from '../../../sdk/client/prepare.ts'
import { bundle, loadedAtOnce } from '../../support/bundle.ts'
import { randomBytes } from '../../support/content.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** Nothing of contract creation belongs in a web page, and the tables of the KZG engine only in one that reads blobs. */
const MAX_BUNDLE_BYTES = 1_200_000

describe('the browser bundle', () => {
  it('holds no Node.js module and no contract bytecode, and computes the same roots', async () => {
    const { entry, metafile } = await bundle('sdk/index.ts', tempDir())
    const loaded = loadedAtOnce(metafile)
    const bytes = loaded.reduce((sum, path) => sum + (metafile.outputs[path]?.bytes ?? 0), 0)
    assert(bytes < MAX_BUNDLE_BYTES, `${bytes} bytes`)
    assert.deepEqual(
      Object.keys(metafile.inputs).filter((path) =>
        /-node\.ts$|mocks\/|factories\/(?!interfaces)/.test(path),
      ),
      [],
    )
    const tables = loaded.flatMap((path) => Object.keys(metafile.outputs[path]?.inputs ?? {}))
    assert(!tables.some((path) => path.includes('trusted-setups')))

    const module = await import(pathToFileURL(entry).href)
    const content = randomBytes(100_000, 4)
    assert.deepEqual(
      await module.prepareFile({
        source: module.blobSource(new Blob([new Uint8Array(content)])),
        parityShards: 8,
      }),
      await prepareFile({ source: bytesSource(content), parityShards: 8 }),
    )
  })
})
