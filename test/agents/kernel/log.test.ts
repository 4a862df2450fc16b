import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLog } from '../../../agents/kernel/log.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'

const SECRET = 'hunter2-do-not-print'

function capture(write: (log: ReturnType<typeof createLog>) => void): string {
  let text = ''
  const destination = {
    write: (line: string) => {
      text += line
    },
  }
  write(createLog({ name: 'storage', level: 'trace', destination }))
  return text
}

describe('createLog', () => {
  it('default: writes one JSON object a line', () => {
    const text = capture((log) => log.child({ duty: 'seal' }).info({ txSeq: 7 }, 'sealed'))
    const { name, duty, txSeq, msg } = JSON.parse(text)
    assert.deepEqual({ name, duty, txSeq, msg }, { name: 'storage', duty: 'seal', txSeq: 7, msg: 'sealed' })
  })

  it('behavior: secrets never appear, at any depth that is logged', () => {
    const keys = [
      'privateKey',
      'PRIVATE_KEY',
      'password',
      'KEYSTORE_PASSWORD',
      'mnemonic',
      'secret',
      'token',
      'authorization',
      'cookie',
    ]
    const text = capture((log) => {
      for (const key of keys) {
        log.info({ [key]: SECRET }, 'top')
        log.info({ config: { [key]: SECRET } }, 'nested')
        log.info({ request: { headers: { [key]: SECRET } } }, 'deep')
        log.info({ a: { b: { c: { [key]: SECRET } } } }, 'deeper')
      }
      log.child({ password: SECRET }).warn('child')
      log.warn({ url: `redis://user:${SECRET}@host:6379` }, 'url')
      log.warn({ err: new Error(`cannot reach https://:${SECRET}@rpc.example/`) }, 'message')
      log.error({ err: new ZerogError('KEYSTORE_INVALID', 'no', { meta: { password: SECRET } }) }, 'error')
    })
    assert.ok(text.length > 1000)
    assert.ok(
      !text.includes(SECRET),
      text.split('\n').find((line) => line.includes(SECRET)),
    )
  })

  it('behavior: errors carry code, values and cause, but not whole requests', () => {
    const cause = Object.assign(new Error('inner'), { request: { body: 'x'.repeat(10_000) } })
    const text = capture((log) =>
      log.error({ err: new ZerogError('TIMEOUT', 'outer', { cause, meta: { ms: 5 } }) }, 'failed'),
    )
    const { err } = JSON.parse(text)
    assert.equal(err.code, 'TIMEOUT')
    assert.deepEqual(err.meta, { ms: 5 })
    assert.equal(err.cause.message, 'inner')
    assert.ok(text.length < 5000)
  })

  it('behavior: bigints do not break a line', () => {
    const text = capture((log) => log.info({ amountWei: 10n ** 30n }, 'paid'))
    assert.match(text, /1000000000000000000000000000000/)
  })
})
