import assert from 'node:assert/strict'
import type { BaseContract } from 'ethers'

/** Fails unless the call reverts with a custom error of `contract` of this name and, where given, with these arguments. */
export async function revertsWith(
  call: Promise<unknown>,
  contract: Pick<BaseContract, 'interface'>,
  name: string,
  args?: readonly unknown[],
): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error !== undefined, `expected ${name}, yet the call went through`)
  const data = revertData(error)
  const decoded = data === undefined ? null : contract.interface.parseError(data)
  assert.equal(decoded?.name, name, `expected ${name}, got ${decoded?.name ?? String(error)}`)
  if (args !== undefined) assert.deepEqual([...(decoded?.args ?? [])], [...args])
}

/** Revert data anywhere in an error that ethers or Hardhat threw. */
function revertData(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { data, cause, info, error: inner } = error as Record<string, unknown>
  if (typeof data === 'string') return data
  if (typeof data === 'object') return revertData(data)
  return revertData(cause) ?? revertData(inner) ?? revertData(info)
}
