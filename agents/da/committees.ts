import type { DaChain } from '../../sdk/chain/da-chain.ts'
import {
  type Committee,
  type CommitteeMember,
  readActiveEpoch,
  readCommittee,
} from '../../sdk/chain/da-committee.ts'
import type { ReadOptions } from '../../sdk/chain/read.ts'

/** Formed committees, kept: the chain never changes one. */
export type Committees = {
  /** Throws DA_WRONG_EPOCH when it was never formed. */
  at(epoch: bigint, options?: ReadOptions): Promise<Committee>
  /** The last formed one; undefined before the first. */
  active(options?: ReadOptions): Promise<Committee | undefined>
}

const KEPT = 64

export function createCommittees(chain: DaChain): Committees {
  const known = new Map<bigint, Committee>()

  const at: Committees['at'] = async (epoch, options = {}) => {
    const found = known.get(epoch)
    if (found) return found
    const committee = await readCommittee(chain, epoch, options)
    const [oldest] = known.keys()
    if (known.size >= KEPT && oldest !== undefined) known.delete(oldest)
    known.set(epoch, committee)
    return committee
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
