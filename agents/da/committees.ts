import type { DaChain } from '../../sdk/chain/da-chain.ts'
import {
  type Committee,
  type CommitteeMember,
  isStanding,
  readActiveEpoch,
  readCommittee,
} from '../../sdk/chain/da-committee.ts'
import type { ReadOptions } from '../../sdk/chain/read.ts'

/** Formed committees, kept: no transaction changes one. */
export type Committees = {
  /** Throws DA_WRONG_EPOCH when it was never formed. */
  at(epoch: bigint, options?: ReadOptions): Promise<Committee>
  /** The last formed one; undefined before the first. */
  active(options?: ReadOptions): Promise<Committee | undefined>
}

type Known = { readonly committee: Committee; readonly sinceMs: number; checkedMs: number }

const KEPT = 64
/** A reorganization of its first blocks gives an epoch another committee: so often a new one is compared with the chain's, */
const CHECK_MS = 5000
/** and for so long. */
const SETTLED_MS = 30 * 60_000

export function createCommittees(chain: DaChain, now: () => number = () => performance.now()): Committees {
  const known = new Map<bigint, Known>()

  const at: Committees['at'] = async (epoch, options = {}) => {
    const found = known.get(epoch)
    if (found && (await isFresh(found, options))) return found.committee
    const committee = await readCommittee(chain, epoch, options)
    const [oldest] = known.keys()
    if (known.size >= KEPT && oldest !== undefined) known.delete(oldest)
    known.set(epoch, { committee, sinceMs: now(), checkedMs: now() })
    return committee
  }

  async function isFresh(found: Known, options: ReadOptions): Promise<boolean> {
    const { committee, sinceMs, checkedMs } = found
    if (checkedMs - sinceMs > SETTLED_MS || now() - checkedMs < CHECK_MS) return true
    if (!(await isStanding(chain, committee, options))) {
      known.delete(committee.epoch)
      return false
    }
    found.checkedMs = now()
    return true
  }

  return {
    at,
    active: async (options) => {
      const epoch = await readActiveEpoch(chain, options)
      return epoch === undefined ? undefined : at(epoch, options)
    },
  }
}

/** The member that `operator` is in a committee. */
export function memberOf(committee: Committee, operator: string): CommitteeMember | undefined {
  return committee.members.find((member) => isSame(member.operator, operator))
}

/** Whether two addresses are one, whatever their case. */
export function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** Bits of the columns of some members. */
export function columnBits(members: readonly CommitteeMember[]): bigint {
  return members.flatMap(({ columns }) => columns).reduce((bits, column) => bits | (1n << BigInt(column)), 0n)
}

/** How many bits are set. */
export function countBits(bits: bigint): number {
  let count = 0
  for (let rest = bits; rest > 0n; rest >>= 1n) count += Number(rest & 1n)
  return count
}
