import { connect } from 'node:net'

/** Longest wait for an answer; what never ends is cut off by the sender, as on a real network. */
const ANSWER_MS = 5000
const PARALLEL = 16

/** Numbers in [0, most) that look random and are the same for each seed (mulberry32). */
function numbersOf(seed: number): (most: number) => number {
  let state = seed
  return (most) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % most
  }
}

/** A request that is spoiled anywhere, or every other time in its body alone, past what parses it. */
function spoilRequest(request: Buffer, pick: (most: number) => number): Buffer {
  const bodyAt = request.indexOf('\r\n\r\n') + 4
  if (bodyAt >= request.length || pick(2) === 0) return spoil(request, pick)
  return Buffer.concat([request.subarray(0, bodyAt), spoil(request.subarray(bodyAt), pick)])
}

/** Some of the bytes changed, cut out, repeated or put elsewhere. */
function spoil(request: Buffer, pick: (most: number) => number): Buffer {
  let bytes = request
  for (let changes = 1 + pick(4); changes > 0; changes--) {
    const at = pick(bytes.length)
    const piece = bytes.subarray(at, at + 1 + pick(24))
    const kind = pick(4)
    if (kind === 0) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + piece.length)])
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
    else {
      bytes = Buffer.from(bytes)
      if (kind === 2) bytes[at] = pick(256)
      else piece.copy(bytes, pick(bytes.length))
    }
    if (bytes.length === 0) return request
  }
  return bytes
}

function send({ hostname, port }: URL, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(Number(port), hostname, () => socket.end(bytes))
    socket.setTimeout(ANSWER_MS, () => socket.destroy())
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => {
      answer += part
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })
}

/**
 * Sends `count` spoiled copies of well-formed requests, some at a time, and gives the status of each answer; 0 where there was none. The
 * same seed spoils in the same way.
 */
export async function sendWild(
  url: string,
  requests: readonly (string | Buffer)[],
  { count, seed }: { count: number; seed: number },
): Promise<number[]> {
  const pick = numbersOf(seed)
  const spoiled = Array.from({ length: count }, (_, i) => {
    return spoilRequest(Buffer.from(requests[i % requests.length] ?? ''), pick)
  })
  const statuses: number[] = []
  const worker = async (): Promise<void> => {
    for (let next = spoiled.pop(); next; next = spoiled.pop()) {
      const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(await send(new URL(url), next)) ?? []
      statuses.push(Number(status))
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  return statuses
}
