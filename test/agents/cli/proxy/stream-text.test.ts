import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fastify } from 'fastify'
import { streamText } from '../../../../agents/cli/proxy/stream-text.ts'
import type { StreamPiece, TextResult, TextStream } from '../../../../sdk/client/inference.ts'
import { ZerogError } from '../../../../sdk/protocol/errors.ts'

const START: StreamPiece = { type: 'start', provider: '0x1', model: 'm' }
const TEXT: StreamPiece = {
  ...{ type: 'text', text: 'Hi' },
  chunk: { id: 'c', choices: [{ index: 0, delta: { content: 'Hi' }, finish_reason: null }] },
}
const busy = () => new ZerogError('COMPUTE_UNAVAILABLE')

/** How often a stream of these pieces, and then this end, counts as lost. */
async function lostOf(pieces: StreamPiece[], end: ZerogError | undefined): Promise<number> {
  async function* generator() {
    yield* pieces
    if (end) throw end
  }
  const stream: TextStream = Object.assign(generator(), {
    result: Promise.resolve({} as TextResult),
    cancel: () => undefined,
  })
  let lost = 0
  const server = fastify()
  server.get('/', async (_, reply) => {
    const signal = new AbortController().signal
    await streamText({ reply, stream, signal, onBreak: () => void lost++ })
    return reply
  })
  try {
    const url = await server.listen({ host: '127.0.0.1', port: 0 })
    await (await fetch(url, { signal: AbortSignal.timeout(10_000) })).text()
  } finally {
    await server.close()
  }
  return lost
}

describe('streamText', () => {
  it('behavior: a provider that had begun counts as paid, whatever error it ends with', async () => {
    assert.equal(await lostOf([START, TEXT], busy()), 1)
    assert.equal(await lostOf([START], busy()), 1, 'an error event in place of text')
    const restart: StreamPiece = { type: 'restart', provider: '0x1', code: 'INFERENCE_CUT', message: '' }
    assert.equal(await lostOf([START, TEXT, restart, START, TEXT], busy()), 2)
  })

  it('behavior: one that refuses before it begins, or ends well, does not', async () => {
    assert.equal(await lostOf([], busy()), 0)
    assert.equal(await lostOf([START, TEXT], undefined), 0)
  })
})
