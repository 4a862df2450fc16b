import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { filesUnder, hashFiles, setStamp, stampOf } from './stamps.mjs'
import { progress, ROOT, runLogged } from './step.mjs'

const WASM_SCRIPT = 'scripts/build-erasure-wasm.mjs'
const WASM_OUTPUT = 'sdk/protocol/erasure.wasm.ts'
const TYPESCRIPT_FOLDERS = ['sdk', 'agents', 'deploy', 'scripts', 'test']

const isTypeScript = (name) => name.endsWith('.ts') && !name.endsWith('.d.ts')

const solidityInputs = () => [
  ...filesUnder('contracts', (name) => name.endsWith('.sol')),
  ...filesUnder('test', (name) => name.endsWith('.sol')),
  'hardhat.config.ts',
  'package-lock.json',
]

const typescriptInputs = () => [
  ...TYPESCRIPT_FOLDERS.flatMap((folder) =>
    filesUnder(folder, (name) => isTypeScript(name) || name.endsWith('.json')),
  ),
  'tsconfig.json',
  'package.json',
  'package-lock.json',
]

/** Compiled files whose source was renamed or deleted would still be imported and run: they go. */
function removeOrphans() {
  for (const file of filesUnder('dist/.', (name) => name.endsWith('.js')).map((path) =>
    path.replace('/./', '/'),
  )) {
    const source = file.slice('dist/'.length).replace(/\.js$/, '.ts')
    if (existsSync(join(ROOT, source))) continue
    const stem = join(ROOT, file.slice(0, -'.js'.length))
    for (const suffix of ['.js', '.js.map', '.d.ts']) rmSync(`${stem}${suffix}`, { force: true })
  }
}

async function whenChanged(stamp, inputs, outputs, title, build) {
  const hash = hashFiles(inputs)
  if (stampOf(stamp) === hash && outputs.every((path) => existsSync(join(ROOT, path)))) return
  setStamp(stamp, undefined)
  await progress(title, build)
  setStamp(stamp, hash)
}

/** Brings the WASM module, the contracts with their types, and `dist/` up to date with the sources; else does nothing. */
export async function ensureBuilt(env) {
  if (existsSync(join(ROOT, WASM_SCRIPT)) && !existsSync(join(ROOT, WASM_OUTPUT))) {
    await progress('compiling the erasure codec', () =>
      runLogged('build-wasm', 'node', [WASM_SCRIPT], { env, code: 'BUILD_FAILED' }),
    )
  }
  await whenChanged(
    'solidity',
    solidityInputs(),
    ['artifacts', 'typechain-types'],
    'compiling contracts',
    () => runLogged('build-contracts', 'hardhat', ['build'], { env, code: 'BUILD_FAILED' }),
  )
  // typechain-types is derived from what the stamp `solidity` covers.
  const inputs = [...typescriptInputs(), ...filesUnder('typechain-types', isTypeScript)]
  await whenChanged('typescript', inputs, ['dist/.tsbuildinfo'], 'compiling TypeScript', async () => {
    await runLogged('build-typescript', 'tsc', ['-p', '.'], { env, code: 'BUILD_FAILED' })
    removeOrphans()
  })
}
