import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CHECKOUT } from '../../agents/cli/checkout.ts'
import { benchChecks } from './da/check.ts'
import type { DaCase } from './da/da-case.ts'
import { benchEncode } from './da/encode.ts'
import { benchNetwork } from './da/network.ts'
import { commit, load, machine } from './report/place.ts'
import { shortNumber } from './storage/bench-case.ts'

const { values } = parseArgs({
  options: { json: { type: 'string' }, skip: { type: 'string', multiple: true, default: [] } },
})
const report = (line: string) => process.stderr.write(`${line}\n`)

/**
 * Runs all cases but those of `--skip` (encode, network), prints a table and the gas of the committed snapshot, and writes the cases to the
 * `--json` file. There are no targets; it fails when what it measures is wrong.
 */
async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'zerog-bench-'))
  try {
    const cases: DaCase[] = []
    const loads = [load()]
    const isOn = (name: string) => !values.skip.includes(name)
    if (isOn('encode')) {
      report('encoding')
      cases.push(...(await benchEncode()))
    }
    report('checking and recovering')
    const checks = await benchChecks()
    cases.push(...checks.cases)
    loads.push(load())
    if (isOn('network'))
      cases.push(...(await benchNetwork({ root: CHECKOUT, folder, report, costs: checks.costs })))
    loads.push(load())
    const result = { commit: commit(), machine: machine(), date: new Date().toISOString(), loads, cases }
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)
    process.stdout.write(table(result))
    process.stdout.write(gasTable())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function table({
  commit,
  machine,
  date,
  loads,
  cases,
}: {
  commit: string
  machine: string
  date: string
  loads: number[]
  cases: DaCase[]
}): string {
  const rows = cases.map(
    ({ name, measured, reference, figure, unit }) =>
      `| ${name} | ${measured} | ${reference} | ${shortNumber(figure)} ${unit} |`,
  )
  return [
    `commit ${commit}, ${date.slice(0, 10)}, ${machine}, load ${loads.map(shortNumber).join(', ')}`,
    '',
    '| case | measured | reference | figure |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

/** Gas is measured by the tests of the contracts; here it is only quoted. */
function gasTable(): string {
  const path = join(CHECKOUT, 'test/snapshots/gas.json')
  const snapshot = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, number>>
  const rows = ['data availability ledger', 'daCommittee', 'da court'].flatMap((group) =>
    Object.entries(snapshot[group] ?? {}).map(
      ([name, gas]) =>
        `| ${group === 'daCommittee' ? 'DaCommittee: ' : ''}${name} | ${gas.toLocaleString('en-US')} |`,
    ),
  )
  return ['', '| gas (test/snapshots/gas.json) | |', '|---|---:|', ...rows, ''].join('\n')
}

await main()
