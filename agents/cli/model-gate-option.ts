import { getAddress, isAddress } from 'ethers'
import { type ModelGate, NO_GATE } from '../../sdk/chain/models.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A gate without its quota. */
export type GateWish = Omit<ModelGate, 'freeUnits' | 'quotaPeriodBlocks'>

/** Free units per quota period. */
export type QuotaWish = Pick<ModelGate, 'freeUnits' | 'quotaPeriodBlocks'>

const FORM = /^(erc20|erc721|erc1155):(0x[0-9a-fA-F]{40})((?::\d{1,78}){0,2})$/
const HOW = 'none, erc20:TOKEN:MINIMUM, erc721:TOKEN or erc1155:TOKEN:ID:MINIMUM'

/** A gate as it is typed; the minimum is 1 unless given, in the token's smallest unit. Errors: BAD_REQUEST. */
export function parseGate(text: string): GateWish {
  if (text === 'none') return NO_GATE
  const [, kind = '', token = '', rest = ''] = FORM.exec(text) ?? []
  const numbers = rest.split(':').slice(1).map(BigInt)
  const [tokenId = 0n, minBalance = 1n] = kind === 'erc1155' ? numbers : [0n, ...numbers]
  const isTooMany = kind !== 'erc1155' && numbers.length > 1
  const isMissing = kind === 'erc1155' && numbers.length === 0
  if (!isAddress(token) || isTooMany || isMissing || minBalance === 0n || (tokenId | minBalance) >> 256n > 0n)
    throw new ZerogError('BAD_REQUEST', `"${text}" is not a gate: write ${HOW}`)
  return { kind: kind as GateWish['kind'], token: getAddress(token), tokenId, minBalance }
}

/** Free units as `UNITS/BLOCKS`. Errors: BAD_REQUEST. */
export function parseQuota(text: string): QuotaWish {
  const [, units = '', blocks = ''] = /^(\d{1,19})\/(\d{1,10})$/.exec(text) ?? []
  const [freeUnits, quotaPeriodBlocks] = [BigInt(units || 0), BigInt(blocks || 0)]
  const fits =
    freeUnits > 0n && freeUnits < 1n << 64n && quotaPeriodBlocks > 0n && quotaPeriodBlocks < 1n << 32n
  if (fits) return { freeUnits, quotaPeriodBlocks }
  throw new ZerogError('BAD_REQUEST', `"${text}" is not a quota: write UNITS/BLOCKS, such as 1000/7200`)
}

/** A gate in the form in which it is typed, with its quota. */
export function formatGate(gate: ModelGate): string {
  const { kind, token, tokenId, minBalance, freeUnits, quotaPeriodBlocks } = gate
  if (kind === 'none') return '-'
  const id = kind === 'erc1155' ? `:${tokenId}` : ''
  const free = freeUnits === 0n ? '' : `, free ${freeUnits}/${quotaPeriodBlocks}`
  return `${kind}:${token}${id}:${minBalance}${free}`
}
