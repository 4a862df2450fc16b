import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { build } from 'esbuild'
import { findCycle, importsOf, withoutComments } from './support/imports.ts'
import { ROOT, readSource, sourceFiles } from './support/repository.ts'

const SHIPPED = ['sdk', 'agents', 'app', 'deploy', 'scripts']
const files = SHIPPED.flatMap((folder) => sourceFiles(folder, ['.ts', '.tsx']))
const imports = new Map(files.map((file) => [file, importsOf(file, readSource(file))]))

/** What a folder may import of ours; the longest matching prefix counts. `scripts` and `deploy` are imported by no product code. */
function allowedImports(file: string): readonly string[] {
  if (file.startsWith('sdk/protocol/')) return ['sdk/protocol/']
  if (file.startsWith('sdk/chain/')) return ['sdk/protocol/', 'sdk/chain/', 'typechain-types/']
  if (file.startsWith('sdk/client/')) return ['sdk/protocol/', 'sdk/chain/', 'sdk/client/']
  if (file.startsWith('sdk/')) return ['sdk/']
  if (file.startsWith('app/')) return ['app/', 'sdk/index', 'sdk/node']
  if (file.startsWith('agents/kernel/')) return ['sdk/protocol/', 'sdk/chain/', 'agents/kernel/']
  if (file.startsWith('agents/cli/')) return ['sdk/', 'agents/']
  if (file.startsWith('agents/')) {
    const own = file.split('/').slice(0, 2).join('/')
    return ['sdk/protocol/', 'sdk/chain/', 'sdk/client/', 'agents/kernel/', `${own}/`]
  }
  if (file.startsWith('deploy/')) return ['sdk/', 'deploy/', 'typechain-types/', 'agents/']
  return ['sdk/', 'agents/', 'deploy/', 'scripts/', 'test/']
}

const isBrowserSafe = (file: string) =>
  /^sdk\/(protocol|chain|client)\/|^sdk\/index\.ts$/.test(file) && !/-node\.ts$|-worker\.ts$/.test(file)

const offenders = (matches: (file: string, text: string) => boolean) =>
  files.filter((file) => matches(file, withoutComments(readSource(file))))

describe('architecture', () => {
  it('finds sources to check', () => assert.ok(files.length > 5, `${files.length} files`))

  it('imports follow the dependency direction', () => {
    const wrong = [...imports].flatMap(([file, list]) =>
      list
        .filter(
          ({ ours, target }) => ours && !allowedImports(file).some((prefix) => target.startsWith(prefix)),
        )
        .map(({ target }) => `${file} imports ${target}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('typechain-types is imported only by sdk/chain, deploy and test', () => {
    const wrong = [...imports].filter(
      ([file, list]) =>
        !/^(sdk\/chain|deploy)\//.test(file) &&
        list.some(({ target }) => target.startsWith('typechain-types')),
    )
    assert.deepEqual(
      wrong.map(([file]) => file),
      [],
    )
  })

  it('every relative import resolves to a file', () => {
    const wrong = [...imports].flatMap(([file, list]) =>
      list
        .filter(
          ({ ours, target }) =>
            ours && !target.startsWith('typechain-types/') && !existsSync(join(ROOT, target)),
        )
        .map(({ target }) => `${file} imports ${target}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('code that a browser loads imports nothing of Node', () => {
    const wrong = [...imports].flatMap(([file, list]) =>
      list
        .filter(({ target, typeOnly }) => isBrowserSafe(file) && !typeOnly && isBuiltin(target))
        .map(({ target }) => `${file} imports ${target}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('sdk/index.ts bundles for the browser', { skip: !existsSync(join(ROOT, 'sdk/index.ts')) }, async () => {
    const result = await build({
      entryPoints: [join(ROOT, 'sdk/index.ts')],
      bundle: true,
      platform: 'browser',
      format: 'esm',
      target: 'es2022',
      write: false,
      logLevel: 'silent',
      metafile: true,
    })
    assert.deepEqual(result.errors, [])
    const nodeOnly = Object.keys(result.metafile.inputs).filter((file) => file.endsWith('-node.ts'))
    assert.deepEqual(nodeOnly, [])
  })

  it('no file imports itself through others', () => {
    const graph = new Map(
      [...imports].map(([file, list]) => [file, list.filter(({ ours }) => ours).map(({ target }) => target)]),
    )
    assert.equal(findCycle(graph), undefined)
  })

  it('only config files read the environment', () => {
    const allowed = /(^|\/)config\.ts$|^agents\/kernel\/fault\.ts$|^scripts\//
    assert.deepEqual(
      offenders((file, text) => /\bprocess\.env\b/.test(text) && !allowed.test(file)),
      [],
    )
  })

  it('only the process entry points exit', () => {
    const allowed = /^agents\/kernel\/run\.ts$|^agents\/cli\/main\.ts$|^scripts\//
    assert.deepEqual(
      offenders((file, text) => /\bprocess\.exit\(/.test(text) && !allowed.test(file)),
      [],
    )
  })

  it('no folder is named for having no concept', () => {
    const all = sourceFiles('.', ['.ts', '.tsx', '.mjs', '.sol', '.json', '.md'])
    assert.deepEqual(
      all.filter((file) => /(^|\/)(utils?|helpers?|common|misc|lib)\//.test(file)),
      [],
    )
  })

  it('no source is over 400 lines unless it says that it is one object', () => {
    // Tests are lists of cases, read one at a time.
    const folders = [...SHIPPED, 'contracts']
    const all = folders.flatMap((folder) => sourceFiles(folder, ['.ts', '.tsx', '.mjs', '.sol']))
    const long = all.filter((file) => {
      const text = readSource(file)
      const generated = file.endsWith('.wasm.ts')
      return !generated && text.trimEnd().split('\n').length > 400 && !text.includes('size: one object')
    })
    assert.deepEqual(long, [])
  })
})

describe('importsOf', () => {
  const source = [
    "import { a } from './a.ts'",
    "import type {\n  B,\n} from '../b/b.ts'",
    "// import { c } from './c.ts'",
    "export { d } from './d.ts'",
    "import 'node:fs'",
    "const e = await import('./e.ts')",
    'const text = "import { f } from \'./f.ts\'"',
    "/* export * from './g.ts' */",
  ].join('\n')

  it('finds static, type-only, side-effect and dynamic imports, not comments or strings', () => {
    const found = importsOf('sdk/x/y.ts', source)
    assert.deepEqual(
      found.map(({ target, typeOnly }) => (typeOnly ? `type ${target}` : target)),
      ['sdk/x/a.ts', 'type sdk/b/b.ts', 'sdk/x/d.ts', 'node:fs', 'sdk/x/e.ts'],
    )
  })
})

describe('findCycle', () => {
  it('names the files around a cycle', () => {
    const graph = new Map([
      ['a', ['b', 'c']],
      ['b', []],
      ['c', ['d']],
      ['d', ['c']],
    ])
    assert.deepEqual(findCycle(graph), ['c', 'd', 'c'])
    assert.equal(findCycle(new Map([['a', ['b']]])), undefined)
  })
})
