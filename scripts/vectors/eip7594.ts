// Runs the official test vectors of EIP-7594 and EIP-4844 through the KZG engines of the agents and of light clients.
// Usage, from the root of the checkout: node dist/scripts/vectors/eip7594.js <folder>   (consensus-spec-tests, or tests/ of c-kzg-4844)
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { loadNodeKzg } from '../../sdk/client/kzg-node.ts'
import { cellVerifier } from '../../sdk/protocol/cell-proof.ts'
import { isZerogError } from '../../sdk/protocol/errors.ts'
import { fromHex, toHex } from '../../sdk/protocol/hex.ts'
import type { KzgEngine } from '../../sdk/protocol/kzg-engine.ts'
import { parseYaml } from './yaml.ts'

type Input = Readonly<Record<string, unknown>>

/** What an engine gives for the input of a vector. Throws one of our errors where the input is refused. */
type Suite = (engine: KzgEngine, input: Input) => Promise<unknown>

/** The suites that test what an engine does, by the name of their folder. */
const SUITES: Readonly<Record<string, Suite>> = {
  blob_to_kzg_commitment: async (engine, { blob }) => toHex(await engine.commit(bytes(blob))),

  async compute_kzg_proof(engine, { blob, z }) {
    const { proof, y } = await engine.open(bytes(blob), bytes(z))
    return [toHex(proof), toHex(y)]
  },

  compute_cells: async (engine, { blob }) => (await engine.encode(bytes(blob))).cells.map(toHex),

  async compute_cells_and_kzg_proofs(engine, { blob }) {
    const { cells, proofs } = await engine.encode(bytes(blob))
    return [cells.map(toHex), proofs.map(toHex)]
  },

  async recover_cells_and_kzg_proofs(engine, input) {
    const { cells, proofs } = await engine.recover(numbers(input.cell_indices), lists(input.cells))
    return [cells.map(toHex), proofs.map(toHex)]
  },

  async verify_cell_kzg_proof_batch(engine, input) {
    const claims = {
      commitments: lists(input.commitments),
      columns: numbers(input.cell_indices),
      cells: lists(input.cells),
      proofs: lists(input.proofs),
    }
    const verdicts = await Promise.all([engine, cellVerifier].map((one) => one.verifyCells(claims)))
    if (new Set(verdicts).size > 1) return `the engines differ: ${verdicts}`
    return verdicts[0]
  },
}

/** How many vectors of a suite agree, and which do not, with why. */
export type SuiteResult = { passed: number; failures: { name: string; why: string }[] }

/** Runs every vector below `folder`, in folders of suites that are known. Throws when there is none. */
export async function runVectors(engine: KzgEngine, folder: string): Promise<Map<string, SuiteResult>> {
  const results = new Map<string, SuiteResult>()
  const files = (await readdir(folder, { recursive: true })).filter((path) => basename(path) === 'data.yaml')
  for (const path of files.sort()) {
    const name = path.split(sep).find((part) => Object.hasOwn(SUITES, part))
    const suite = name === undefined ? undefined : SUITES[name]
    if (name === undefined || suite === undefined) continue
    const result = results.get(name) ?? { passed: 0, failures: [] }
    results.set(name, result)
    const why = await disagreement(engine, suite, await readFile(join(folder, path), 'utf8'))
    if (why === undefined) result.passed += 1
    else result.failures.push({ name: basename(dirname(path)), why })
  }
  if (results.size === 0)
    throw new Error(`there are no vectors of ${Object.keys(SUITES).join(', ')} in ${folder}`)
  return results
}

/** What an engine does otherwise than a vector wants; undefined when it agrees. An output of null wants the input refused. */
async function disagreement(engine: KzgEngine, suite: Suite, text: string): Promise<string | undefined> {
  const vector = parseYaml(text)
  if (!isRecord(vector) || !isRecord(vector.input) || !('output' in vector)) return 'it is no vector'
  let got: unknown
  try {
    got = await suite(engine, vector.input)
  } catch (error) {
    if (!isZerogError(error) || error.code === 'INTERNAL') throw error
    return vector.output === null ? undefined : `refused: ${error.message}`
  }
  // Malformed claims are claims that do not hold.
  if (vector.output === null && got === false) return undefined
  if (JSON.stringify(got) === JSON.stringify(vector.output)) return undefined
  return `gives ${JSON.stringify(got)?.slice(0, 100)}, not ${JSON.stringify(vector.output).slice(0, 100)}`
}

function bytes(value: unknown): Uint8Array {
  return fromHex(typeof value === 'string' ? value : '')
}

function lists(value: unknown): Uint8Array[] {
  return Array.isArray(value) ? value.map(bytes) : []
}

function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.map(Number) : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function main([folder]: string[]): Promise<number> {
  if (folder === undefined || !existsSync(folder)) {
    process.stderr.write('usage: node dist/scripts/vectors/eip7594.js <folder of the official vectors>\n')
    return 64
  }
  const results = await runVectors(await loadNodeKzg(), folder)
  let failed = 0
  for (const [suite, { passed, failures }] of results) {
    failed += failures.length
    process.stdout.write(`${suite}: ${passed} passed, ${failures.length} failed\n`)
    for (const { name, why } of failures) process.stdout.write(`  ${name}: ${why}\n`)
  }
  return failed === 0 ? 0 : 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.exitCode = await main(process.argv.slice(2))
