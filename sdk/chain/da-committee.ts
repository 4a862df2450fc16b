import { getAddress } from 'ethers'
import { COLUMNS } from '../protocol/cell-layout.ts'
import { ZerogError } from '../protocol/errors.ts'
import { fromHex, toHex } from '../protocol/hex.ts'
import { DA_SERVICE, type DaChain } from './da-chain.ts'
import { at, type ReadOptions, read } from './read.ts'

/** A member of a formed committee: its key (128 B, EIP-2537) and the columns it holds. */
export type CommitteeMember = {
  readonly slot: number
  readonly operator: string
  readonly publicKey: Uint8Array
  readonly columns: readonly number[]
}

/** A formed committee: its members, and for each column the member that holds it. */
export type Committee = {
  readonly epoch: bigint
  readonly seatWei: bigint
  readonly keySet: string
  readonly members: readonly CommitteeMember[]
  readonly holders: readonly CommitteeMember[]
}

const KEY_BYTES = 128
const MEMBER_BYTES = KEY_BYTES + 20
/** STOP, then the aggregate key. */
const MEMBERS_AT = 1 + KEY_BYTES
const SLOTS = 128

/** The last formed epoch; undefined before the first. */
export async function readActiveEpoch(
  { da: { committee } }: DaChain,
  options: ReadOptions = {},
): Promise<bigint | undefined> {
  const epoch = await read(committee.activeEpoch(at(options)), options)
  if (epoch > 0n) return epoch
  const { keySet } = await read(committee.epochOf(0n, at(options)), options)
  return BigInt(keySet) === 0n ? undefined : epoch
}

/**
 * The committee of an epoch with all keys, read from the code of its key set.
 *
 * Errors: DA_WRONG_EPOCH when it was never formed; PEER_MISBEHAVED when the RPC's code is no key set; RPC_UNREACHABLE.
 */
export async function readCommittee(
  { da: { committee }, provider }: DaChain,
  epoch: bigint,
  options: ReadOptions = {},
): Promise<Committee> {
  const { keySet, seatWei, columnSlots } = await read(committee.epochOf(epoch, at(options)), options)
  if (BigInt(keySet) === 0n)
    throw new ZerogError('DA_WRONG_EPOCH', `the committee of epoch ${epoch} was never formed`)
  const code = fromHex(await read(provider.getCode(keySet, options.blockTag), options))
  if (code.length !== MEMBERS_AT + SLOTS * MEMBER_BYTES)
    throw new ZerogError('PEER_MISBEHAVED', 'the code of the key set has a wrong length', {
      meta: { keySet, codeBytes: code.length },
    })
  const slotOfColumn = columnSlots.flatMap((word) => [...fromHex(word, 32)])
  const members = [...new Set(slotOfColumn)]
    .sort((a, b) => a - b)
    .map((slot) => memberOf(code, slot, slotOfColumn))
  const bySlot = new Map(members.map((member) => [member.slot, member]))
  const holders = slotOfColumn.flatMap((slot) => bySlot.get(slot) ?? [])
  if (holders.length !== COLUMNS)
    throw new ZerogError('PEER_MISBEHAVED', 'the committee does not hold every column once')
  return { epoch, seatWei, keySet, members, holders }
}

/**
 * Whether the chain has no other committee for this one's epoch: a reorganization may bring one. A node that lags behind, and knows of none
 * yet, contradicts nothing.
 */
export async function isStanding(
  { da: { committee } }: DaChain,
  { epoch, keySet, holders }: Committee,
  options: ReadOptions = {},
): Promise<boolean> {
  const formed = await read(committee.epochOf(epoch, at(options)), options)
  if (BigInt(formed.keySet) === 0n) return true
  const slotOfColumn = formed.columnSlots.flatMap((word) => [...fromHex(word, 32)])
  return formed.keySet === keySet && holders.every(({ slot }, column) => slot === slotOfColumn[column])
}

/** Where members serve data availability; those without an endpoint are left out. Keyed by operator. */
export async function readDaEndpoints(
  { contracts: { registry } }: DaChain,
  operators: readonly string[],
  options: ReadOptions = {},
): Promise<Map<string, string>> {
  const endpoints = await read(
    Promise.all(operators.map((operator) => registry.endpointOf(operator, DA_SERVICE, at(options)))),
    options,
  )
  return new Map(
    operators.flatMap((operator, i): [string, string][] => {
      const endpoint = endpoints[i] ?? ''
      return endpoint === '' ? [] : [[operator, endpoint]]
    }),
  )
}

/** Standing of an operator: its slot when it is registered, and whether its stake no longer suffices. */
export async function readMembership(
  { da: { committee } }: DaChain,
  operator: string,
  options: ReadOptions = {},
): Promise<{ slot: number | undefined; isOut: boolean }> {
  const [{ registered, slot }, isOut] = await read(
    Promise.all([committee.slotOf(operator, at(options)), committee.isOut(operator, at(options))]),
    options,
  )
  return { slot: registered ? Number(slot) : undefined, isOut }
}

function memberOf(code: Uint8Array, slot: number, slotOfColumn: readonly number[]): CommitteeMember {
  const start = MEMBERS_AT + slot * MEMBER_BYTES
  return {
    slot,
    operator: getAddress(toHex(code.subarray(start + KEY_BYTES, start + MEMBER_BYTES))),
    publicKey: code.slice(start, start + KEY_BYTES),
    columns: slotOfColumn.flatMap((owner, column) => (owner === slot ? [column] : [])),
  }
}
