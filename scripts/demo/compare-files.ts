import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'

/** Throws unless both files hold the same bytes. */
export async function compareFiles(left: string, right: string): Promise<void> {
  const [size, other] = [(await stat(left)).size, (await stat(right)).size]
  if (size !== other) throw new Error(`${right} has ${other} bytes, not ${size}`)
  const options = { highWaterMark: 1 << 20 }
  const theirs = createReadStream(right, options)[Symbol.asyncIterator]()
  let offset = 0
  for await (const chunk of createReadStream(left, options)) {
    const { value } = await theirs.next()
    if (!Buffer.from(chunk).equals(value)) throw new Error(`the copy differs after byte ${offset}`)
    offset += chunk.length
  }
}
