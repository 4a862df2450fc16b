import { COLUMNS } from '../sdk/protocol/cell-layout.ts'

/** Shares of the stake in bad hands, in per mille, and how many operators they are split into: rows and columns of the README's table. */
export const SHARES_PERMILLE = [200, 250, 280, 300, 320, 330, 340, 360, 400]
export const SPLITS = [1, 5, 20]

/** More than a third of the columns. */
const TOO_MANY = Math.floor(COLUMNS / 3) + 1
const HONEST_OPERATORS = 40
const ARRANGEMENTS = 400

/** Operators in the order of their slots; stakes in seats, 128 in all. */
export type Arrangement = readonly { readonly seats: number; readonly isBad: boolean }[]

/**
 * The chance over the seed that the bad operators get at least `columns` of the 128: exact, since the seats that they get change only where
 * the common fraction u passes a border between two operators.
 */
export function chanceOf(arrangement: Arrangement, columns: number): number {
  let at = 0
  const intervals = arrangement.map(({ seats, isBad }) => {
    const from = at
    at += seats
    return { from, to: at, isBad }
  })
  const borders = intervals.flatMap(({ from, to }) => [from % 1, to % 1])
  const cuts = [...new Set([0, 1, ...borders])].sort((a, b) => a - b)
  let chance = 0
  for (let index = 0; index + 1 < cuts.length; index++) {
    const [low = 0, high = 0] = cuts.slice(index, index + 2)
    const fraction = (low + high) / 2
    const held = intervals
      .filter(({ isBad }) => isBad)
      .reduce((sum, { from, to }) => sum + Math.ceil(to - fraction) - Math.ceil(from - fraction), 0)
    if (held >= columns) chance += high - low
  }
  return chance
}

/** A committee in random order: 40 honest operators with stakes from one to three parts, the bad ones with equal stakes. */
export function randomArrangement(share: number, split: number, random: () => number): Arrangement {
  const honest = Array.from({ length: HONEST_OPERATORS }, () => 1 + 2 * random())
  const sum = honest.reduce((total, part) => total + part, 0)
  const members = [
    ...honest.map((part) => ({ seats: (part / sum) * COLUMNS * (1 - share), isBad: false })),
    ...Array.from({ length: split }, () => ({ seats: (COLUMNS * share) / split, isBad: true })),
  ]
  for (let left = members.length; left > 1; left--) {
    const pick = Math.floor(random() * left)
    const [last, picked] = [members[left - 1], members[pick]]
    if (last === undefined || picked === undefined) continue
    members[left - 1] = picked
    members[pick] = last
  }
  return members
}

/** The chance that a share of the stake yields more than a third of the columns, in the mean over random committees. */
export function oddsOf(share: number, split: number): number {
  const random = mulberry(split * 1_000 + Math.round(share * 1_000))
  const chances = Array.from({ length: ARRANGEMENTS }, () =>
    chanceOf(randomArrangement(share, split, random), TOO_MANY),
  )
  return chances.reduce((sum, chance) => sum + chance, 0) / ARRANGEMENTS
}

/** The rows of the table in the README. */
export function seatOddsTable(): string[] {
  return [
    `| stake in bad hands | ${SPLITS.map((split) => (split === 1 ? 'one operator' : `${split} operators`)).join(' | ')} |`,
    `|---|${SPLITS.map(() => '---|').join('')}`,
    ...SHARES_PERMILLE.map((permille) => {
      const cells = SPLITS.map((split) => formatChance(oddsOf(permille / 1_000, split)))
      return `| ${permille / 10} % | ${cells.join(' | ')} |`
    }),
  ]
}

function formatChance(chance: number): string {
  if (chance < 1e-9) return '0'
  if (chance > 1 - 1e-9) return '100 %'
  if (chance < 0.001) return '< 0.1 %'
  return chance > 0.999 ? '> 99.9 %' : `${(chance * 100).toFixed(1)} %`
}

/** A small generator with a fixed seed, so that the table is the same everywhere (mulberry32, public domain). */
function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

if (process.argv[1] === import.meta.filename) process.stdout.write(`${seatOddsTable().join('\n')}\n`)
