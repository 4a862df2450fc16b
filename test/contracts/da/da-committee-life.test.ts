import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bls12_381 as bls } from '@noble/curves/bls12-381.js'
import { concat, dataSlice, toBeHex } from 'ethers'
import fc from 'fast-check'
import { type BlsKey, blsKey, signTogether } from '../../support/bls-keys.ts'
import {
  addOperator,
  type CommitteeSystem,
  deployCommittee,
  enterEpoch,
  joinCommittee,
  type Member,
} from '../../support/committee-fixture.ts'
import { at } from '../../support/content.ts'

const ETHER = 10n ** 18n
const OPERATORS = 4
const DIGEST = `0x${'d2'.repeat(32)}`

const KINDS = ['join', 'rekey', 'resign', 'form', 'write', 'skip'] as const
type Step = { kind: (typeof KINDS)[number]; pick: number }

/** Who holds which slot with which key, and from which epoch on: all that a committee remembers of its members. */
type Seat = { operator: Member; key: BlsKey }
type Change = { slot: number; seat: Seat | undefined; fromEpoch: bigint }

const step = fc.record({
  kind: fc.constantFrom<Step['kind']>(
    'join',
    'join',
    'rekey',
    'resign',
    'form',
    'form',
    'write',
    'skip',
    'skip',
  ),
  pick: fc.nat(OPERATORS - 1),
})

/** Sum of public keys by an independent library, 128 B of hex. */
function sumOf(keys: readonly string[]): string {
  const points = keys.map((key) =>
    bls.G1.Point.fromAffine({ x: BigInt(dataSlice(key, 0, 64)), y: BigInt(dataSlice(key, 64)) }),
  )
  const sum = points.reduce((total, point) => total.add(point), bls.G1.Point.ZERO)
  if (sum.is0()) return `0x${'00'.repeat(128)}`
  const { x, y } = sum.toAffine()
  return concat([toBeHex(x, 64), toBeHex(y, 64)])
}

/** What is written for `epoch` when all changes that are due in it are. */
function seatsIn(changes: readonly Change[], epoch: bigint): Map<number, Seat> {
  const seats = new Map<number, Seat>()
  for (const { slot, seat, fromEpoch } of changes) {
    if (fromEpoch > epoch) continue
    if (seat === undefined) seats.delete(slot)
    else seats.set(slot, seat)
  }
  return seats
}

async function checkFormed(system: CommitteeSystem, epoch: bigint, seats: Map<number, Seat>): Promise<void> {
  const { committee, ethers } = system
  const { keySet, keyed } = await committee.epochOf(epoch)
  const bits = [...seats.keys()].reduce((sum, slot) => sum | (1n << BigInt(slot)), 0n)
  assert.equal(keyed, bits)
  const keys = [...seats.values()].map(({ key }) => key)
  const code = await ethers.provider.getCode(keySet)
  assert.equal(dataSlice(code, 1, 129), sumOf(keys.map(({ publicKey }) => publicKey)), 'the stored sum')
  for (const [slot, { operator, key }] of seats) {
    assert.equal(await committee.operatorAt(epoch, slot), operator.signer.address)
    assert.equal(await committee.keyAt(epoch, slot), key.publicKey)
  }
  // All but one, so that the sum of all serves.
  const signing = [...seats].slice(seats.size > 2 ? 1 : 0)
  const signers = signing.reduce((sum, [slot]) => sum | (1n << BigInt(slot)), 0n)
  const signature = signTogether(
    signing.map(([, { key }]) => key),
    DIGEST,
  )
  assert.notEqual(await committee.verifyAttestation(epoch, DIGEST, signers, signature), 0n)
}

describe('DaCommittee, any life', () => {
  it('behavior: every epoch has the members and keys of the last one that changed them, and their sum', async () => {
    const system = await deployCommittee()
    const { committee, beacon, rolledBack } = system
    const operators: Member[] = []
    for (let i = 0; i < OPERATORS; i++) operators.push(await addOperator(system, i, BigInt(i + 1) * ETHER))
    const counts = { formed: 0, blocked: 0, empty: 0 }
    const life = fc.array(step, { minLength: 12, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(life, (steps) =>
        rolledBack(async () => {
          const changes: Change[] = []
          const isMember = async (operator: Member) => (await committee.slotOf(operator.signer)).registered
          let nextKey = 1000
          /** Sends, and notes in the model what it means from the next epoch on. */
          const change = async (operator: Member, key: BlsKey | undefined) => {
            const before = await committee.slotOf(operator.signer)
            const { signer } = operator
            const sent = await (key
              ? joinCommittee(system, { signer, key })
              : committee.connect(signer).resign()
            ).then(
              () => true,
              (error: unknown) => {
                assert.match(String(error), /KeysNotWritten/)
                return false
              },
            )
            if (!sent) {
              counts.blocked += 1
              return
            }
            const { slot } = key ? await committee.slotOf(signer) : before
            const fromEpoch = (await beacon.currentEpoch()) + 1n
            changes.push({ slot: Number(slot), seat: key && { operator, key }, fromEpoch })
          }
          for (const { kind, pick } of steps) {
            const operator = at(operators, pick)
            const current = await beacon.currentEpoch()
            if (kind === 'join' && !(await isMember(operator))) await change(operator, operator.key)
            if (kind === 'rekey' && (await isMember(operator))) await change(operator, blsKey(nextKey++))
            if (kind === 'resign' && (await isMember(operator))) await change(operator, undefined)
            if (kind === 'write') await committee.writeKeys()
            if (kind === 'skip') await enterEpoch(system, current + 1n)
            if (kind !== 'form') continue
            await enterEpoch(system, current + 1n)
            const seats = seatsIn(changes, current + 1n)
            if (seats.size === 0) {
              await assert.rejects(
                committee.newEpoch('0x').then((sent) => sent.wait()),
                /NoMembers/,
              )
              counts.empty += 1
              continue
            }
            await committee.newEpoch('0x')
            await checkFormed(system, current + 1n, seats)
            counts.formed += 1
          }
        }),
      ),
      { numRuns: 12, seed: 0x2a },
    )
    assert.ok(counts.formed > 25 && counts.blocked > 2 && counts.empty > 3, JSON.stringify(counts))
  })
})
