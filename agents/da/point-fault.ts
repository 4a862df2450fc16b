import type { PointFault } from '../../sdk/chain/da-court-calls.ts'
import {
  g1Decompress,
  g1YOf,
  hasPoint,
  isCanonicalCompressed,
  isInfinity,
  isInG1Subgroup,
} from '../../sdk/protocol/bls.ts'

/** What keeps 48 bytes from being a point of G1, as the court takes it; undefined when they are one. */
export function pointFaultOf(compressed: Uint8Array): { fault: PointFault; y?: Uint8Array } | undefined {
  if (!isCanonicalCompressed(compressed)) return { fault: 'not-canonical' }
  if (!hasPoint(compressed)) return { fault: 'not-on-curve' }
  const y = g1YOf(compressed)
  const point = g1Decompress(compressed, y)
  return isInfinity(point) || isInG1Subgroup(point) ? undefined : { fault: 'not-in-subgroup', y }
}
