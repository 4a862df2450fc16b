import type { JsonRpcProvider } from 'ethers'
import { isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import type { Fees } from './tx-journal.ts'

const DEFAULT_TIP_WEI = 1_000_000_000n

/**
 * EIP-1559 fees that stay good for several full blocks: twice the base fee plus the tip the node suggests.
 *
 * Error: TX_UNDERPRICED when even one block's fee is above `capWei`.
 */
export async function suggestFees(
  provider: JsonRpcProvider,
  baseFeeWei: bigint,
  capWei: bigint,
): Promise<Fees> {
  const suggestedTip = await readTip(provider)
  const tipWei = suggestedTip < capWei ? suggestedTip : capWei
  if (baseFeeWei + tipWei > capWei) {
    throw new ZerogError('TX_UNDERPRICED', undefined, { meta: { baseFeeWei, tipWei, capWei } })
  }
  const maxFeeWei = 2n * baseFeeWei + tipWei
  return { maxFeeWei: maxFeeWei < capWei ? maxFeeWei : capWei, tipWei }
}

/** Fees that nodes accept as a replacement of `old`; undefined when the cap does not allow any. */
export function replacementFees(old: Fees, suggested: Fees, capWei: bigint): Fees | undefined {
  const minimum = { maxFeeWei: raise(old.maxFeeWei), tipWei: raise(old.tipWei) }
  if (minimum.maxFeeWei > capWei) return undefined
  const maxFeeWei = smaller(larger(minimum.maxFeeWei, suggested.maxFeeWei), capWei)
  // A suggestion made under a higher cap must not put the tip above the whole fee, which no node takes.
  return { maxFeeWei, tipWei: smaller(larger(minimum.tipWei, suggested.tipWei), maxFeeWei) }
}

// Nodes ask for 10 % on both fees; 12.5 % leaves room for their rounding.
function raise(feeWei: bigint): bigint {
  return feeWei + feeWei / 8n + 1n
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

async function readTip(provider: JsonRpcProvider): Promise<bigint> {
  try {
    return BigInt(await provider.send('eth_maxPriorityFeePerGas', []))
  } catch (error) {
    // Not every node has this method; one that does not answer at all is an error.
    if (isZerogError(error)) throw error
    return DEFAULT_TIP_WEI
  }
}
