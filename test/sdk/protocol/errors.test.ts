import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ERROR_CODES,
  errorCode,
  isErrorCode,
  isZerogError,
  ZerogError,
} from '../../../sdk/protocol/errors.ts'

describe('ERROR_CODES', () => {
  it('behavior: every row is usable: a word, a meaning, an action, a status and an exit code', () => {
    for (const [code, row] of Object.entries(ERROR_CODES)) {
      assert.match(code, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/)
      assert.ok(row.meaning.length > 5 && row.action.length > 5, code)
      assert.ok(row.httpStatus >= 400 && row.httpStatus < 600, code)
      assert.ok(row.exitCode > 0 && row.exitCode < 256, code)
    }
  })
})

describe('ZerogError', () => {
  it('default: meaning and retryable come from the table', () => {
    const error = new ZerogError('TIMEOUT')
    assert.equal(error.message, ERROR_CODES.TIMEOUT.meaning)
    assert.equal(error.retryable, true)
    assert.deepEqual(error.meta, {})
    assert.equal(error.cause, undefined)
    assert.equal('cause' in error, false)
  })

  it('behavior: carries message, values, cause and its own retryable', () => {
    const cause = new Error('inner')
    const error = new ZerogError('TIMEOUT', 'too slow', { meta: { afterMs: 5 }, cause, retryable: false })
    assert.equal(error.message, 'too slow')
    assert.equal(error.cause, cause)
    assert.equal(error.retryable, false)
    assert.deepEqual(error.meta, { afterMs: 5 })
  })

  it('error: an unknown code does not compile', () => {
    // @ts-expect-error: NOPE is no code
    assert.throws(() => new ZerogError('NOPE'))
  })
})

describe('errorCode', () => {
  it('default: the code of our errors, of aborts and time-outs, else INTERNAL', () => {
    assert.equal(errorCode(new ZerogError('DISK_FULL')), 'DISK_FULL')
    assert.equal(errorCode(AbortSignal.abort().reason), 'ABORTED')
    assert.equal(errorCode(new DOMException('slow', 'TimeoutError')), 'TIMEOUT')
    for (const other of [new Error('x'), 'text', null, undefined, { name: 'ZerogError' }]) {
      assert.equal(errorCode(other), 'INTERNAL')
    }
  })

  it('behavior: knows an error of a second copy of the package', () => {
    const copy = Object.assign(new Error('x'), { name: 'ZerogError', code: 'DISK_FULL' })
    assert.ok(isZerogError(copy))
    assert.equal(errorCode(copy), 'DISK_FULL')
    assert.equal(isZerogError(Object.assign(new Error('x'), { name: 'ZerogError', code: 'NOPE' })), false)
    assert.equal(isErrorCode('toString'), false)
  })
})
