import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CHECKOUT } from '../../agents/cli/checkout.ts'
import { commit, machine } from './report/place.ts'
import { type BenchCase, shortNumber } from './storage/bench-case.ts'
import { benchEncode } from './storage/encode.ts'
import { benchRoot } from './storage/root.ts'
import { benchUploads } from './storage/upload.ts'

const { values } = parseArgs({
  options: { json: { type: 'string' }, skip: { type: 'string', multiple: true, default: [] } },
})
const report = (line: string) => process.stderr.write(`${line}\n`)

/**
 * Runs all cases but those of `--skip` (encode, root, upload, memory), prints a table, and writes them to the `--json` file.
 * Returns the exit code: 1 when a target is missed.
 */
async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'zerog-bench-'))
  try {
    const cases: BenchCase[] = []
    const isOn = (name: string) => !values.skip.includes(name)
    if (isOn('encode')) {
      report('encoding')
      cases.push(await benchEncode())
    }
    if (isOn('root')) {
      report('hashing')
      cases.push(await benchRoot({ root: CHECKOUT, folder }))
    }
    if (isOn('upload') || isOn('memory'))
      cases.push(...(await benchUploads({ root: CHECKOUT, folder, report, isOn })))
    const result = { commit: commit(), machine: machine(), date: new Date().toISOString(), cases }
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)
    process.stdout.write(table(result))
    return cases.every(({ isReached }) => isReached) ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function table({
  commit,
  machine,
  date,
  cases,
}: {
  commit: string
  machine: string
  date: string
  cases: BenchCase[]
}) {
  const rows = cases.map(
    ({ name, measured, reference, figure, unit, target, isReached }) =>
      `| ${name} | ${measured} | ${reference} | ${shortNumber(figure)} ${unit} | ${target} | ${isReached ? 'yes' : 'NO'} |`,
  )
  return [
    `commit ${commit}, ${date.slice(0, 10)}, ${machine}`,
    '',
    '| case | measured | reference | figure | target | reached |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

process.exitCode = await main()
