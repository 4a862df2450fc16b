import fc from 'fast-check'

export { type Content, contentOf, randomBytes } from '../../scripts/vectors/content.ts'

/** 32 arbitrary bytes as hex. */
export const anyHash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`)

/** The element at `index`; a test that names one which is not there is wrong. */
export function at<T>(values: readonly T[], index: number): T {
  const value = values.at(index)
  if (value === undefined) throw new Error(`no element ${index} of ${values.length}`)
  return value
}
