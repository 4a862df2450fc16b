import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from './repository.ts'

const FILE = join(ROOT, 'test/snapshots/gas.json')

/** How far a figure may grow before the test asks for a decision. */
const TOLERANCE_PERCENT = 2n

/** One measured figure; `limit` is what it must never pass. */
export type GasFigure = { gas: bigint; limit?: bigint }

type Snapshot = Record<string, Record<string, number>>

const readSnapshot = (): Snapshot =>
  existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Snapshot) : {}

/**
 * Holds the figures of a section against the committed snapshot: none may pass its limit, none may grow by more than 2 %, none may be
 * missing on either side. `UPDATE_SNAPSHOTS=1` writes what was measured instead.
 */
export function compareGas(section: string, figures: Record<string, GasFigure>): void {
  for (const [name, { gas, limit }] of Object.entries(figures)) {
    assert.ok(limit === undefined || gas <= limit, `${name} uses ${gas} gas, over its limit of ${limit}`)
  }
  const snapshot = readSnapshot()
  if (process.env.UPDATE_SNAPSHOTS === '1') {
    const measured = Object.fromEntries(Object.entries(figures).map(([name, { gas }]) => [name, Number(gas)]))
    mkdirSync(dirname(FILE), { recursive: true })
    writeFileSync(FILE, `${JSON.stringify({ ...snapshot, [section]: measured }, undefined, 2)}\n`)
    return
  }
  const committed = snapshot[section] ?? {}
  assert.deepEqual(Object.keys(figures).sort(), Object.keys(committed).sort(), 'run with UPDATE_SNAPSHOTS=1')
  const grown = Object.entries(figures).filter(
    ([name, { gas }]) => gas * 100n > BigInt(committed[name] ?? 0) * (100n + TOLERANCE_PERCENT),
  )
  assert.deepEqual(
    grown.map(([name, { gas }]) => `${name}: ${committed[name]} -> ${gas}`),
    [],
    'gas grew by more than 2 %; if that is meant, run with UPDATE_SNAPSHOTS=1',
  )
}
