// Compiles the AssemblyScript kernels of sdk/protocol/wasm to the base64 modules that the SDK embeds.
// Usage: node scripts/build-erasure-wasm.mjs [--check]   (--check compares with the committed files and writes nothing)
import { readFile, writeFile } from 'node:fs/promises'
import asc from 'assemblyscript/asc'

const protocol = new URL('../sdk/protocol/', import.meta.url)

const MODULES = [
  {
    file: 'erasure.wasm.ts',
    source: 'wasm/erasure.ts',
    variants: { ERASURE_RELAXED_SIMD: ['simd', 'relaxed-simd'], ERASURE_SIMD: ['simd'] },
  },
  { file: 'keccak.wasm.ts', source: 'wasm/keccak.ts', variants: { KECCAK_SIMD: ['simd'] } },
]

/** The text of one generated module. */
async function generate({ source, variants }) {
  const text = await readFile(new URL(source, protocol), 'utf8')
  const lines = [`// Generated from ${source} by scripts/build-erasure-wasm.mjs. Do not edit.`]
  for (const [name, features] of Object.entries(variants)) {
    lines.push('', `/** Base64 of the WebAssembly module built with ${features.join(' and ')}. */`)
    lines.push(`export const ${name}_BASE64 =`)
    const base64 = Buffer.from(await compile(text, features)).toString('base64')
    const parts = base64.match(/.{1,120}/g) ?? []
    lines.push(parts.map((part) => `  '${part}'`).join(' +\n'))
  }
  return `${lines.join('\n')}\n`
}

async function compile(text, features) {
  let binary
  const { error, stderr } = await asc.main(
    [
      'source.ts',
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--importMemory',
      ...features.flatMap((feature) => ['--enable', feature]),
      '-o',
      'out.wasm',
    ],
    {
      readFile: (name) => (name === 'source.ts' ? text : null),
      writeFile: (name, contents) => {
        if (name === 'out.wasm') binary = contents
      },
      listFiles: () => [],
    },
  )
  if (error) throw new Error(`asc failed: ${error.message}\n${stderr.toString()}`)
  return binary
}

const check = process.argv.includes('--check')
let stale = 0
for (const module of MODULES) {
  const path = new URL(module.file, protocol)
  const text = await generate(module)
  const committed = await readFile(path, 'utf8').catch(() => '')
  if (committed === text) continue
  if (check) {
    console.error(`${module.file} is not what its source compiles to`)
    stale++
  } else {
    await writeFile(path, text)
    console.log(`wrote sdk/protocol/${module.file}`)
  }
}
process.exitCode = stale === 0 ? 0 : 1
