import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ROOT, readSource, sourceFiles } from '../support/repository.ts'

/** EIP-170: what a chain accepts as the code of one contract; EIP-3860: as its init code. */
const MAX_CODE_BYTES = 24_576
const MAX_INIT_CODE_BYTES = 49_152

type Artifact = { contractName: string; bytecode: string; deployedBytecode: string }

function artifactsOf(sourceFile: string): Artifact[] {
  const folder = join(ROOT, 'artifacts', sourceFile)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Artifact)
}

const byteLength = (hex: string) => (hex.length - 2) / 2

describe('contract size', () => {
  // Mocks and harnesses are never deployed to a real chain.
  const sources = sourceFiles('contracts', ['.sol']).filter((file) => !file.startsWith('contracts/mocks/'))
  const artifacts = sources.flatMap(artifactsOf)

  it('every source has been compiled', () => {
    const missing = sources.filter(
      (file) => artifactsOf(file).length === 0 && /^(abstract )?contract /m.test(readSource(file)),
    )
    assert.deepEqual(missing, [])
    assert.ok(artifacts.length > 0)
  })

  it('every contract fits the limits of a chain', () => {
    const over = artifacts
      .filter(
        ({ bytecode, deployedBytecode }) =>
          byteLength(deployedBytecode) > MAX_CODE_BYTES || byteLength(bytecode) > MAX_INIT_CODE_BYTES,
      )
      .map(({ contractName, deployedBytecode }) => `${contractName}: ${byteLength(deployedBytecode)} B`)
    assert.deepEqual(over, [])
  })

  it('the build has no switch that lifts the limit', () => {
    assert.doesNotMatch(readSource('hardhat.config.ts'), /allowUnlimitedContractSize:\s*true/)
  })
})
