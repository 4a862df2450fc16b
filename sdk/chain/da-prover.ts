import type { DaChain } from './da-chain.ts'
import { at, type ReadOptions, read } from './read.ts'

/** Where a draw of an opened period falls on the line of confirmed cells. */
export function readDaDrawPosition(
  { da: { prover } }: DaChain,
  { period, draw }: { period: bigint; draw: number },
  options: ReadOptions = {},
): Promise<bigint> {
  return read(prover.drawPosition(period, draw, at(options)), options)
}

/** Whether a draw is answered or reported. */
export function readIsDaDrawResolved(
  { da: { prover } }: DaChain,
  { period, draw }: { period: bigint; draw: number },
  options: ReadOptions = {},
): Promise<boolean> {
  return read(prover.isResolved(period, draw, at(options)), options)
}

/** Misses of a member that still make the next one dearer. */
export async function readDaStrikes(
  { da: { prover } }: DaChain,
  operator: string,
  options: ReadOptions = {},
): Promise<number> {
  return Number(await read(prover.strikesOf(operator, at(options)), options))
}

/** Blocks at which a period's round closes to pins, answers and reports. */
export async function readDaWindows(
  { da: { prover } }: DaChain,
  period: bigint,
  options: ReadOptions = {},
): Promise<{ pinCloses: bigint; answerCloses: bigint; reportCloses: bigint }> {
  const { pinCloses, answerCloses, reportCloses } = await read(prover.windowsOf(period, at(options)), options)
  return { pinCloses, answerCloses, reportCloses }
}
