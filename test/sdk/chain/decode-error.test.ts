import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AbiCoder, type ErrorFragment, Interface, type InterfaceAbi, type ParamType } from 'ethers'
import { chainError, decodeRevert, isRevert } from '../../../sdk/chain/decode-error.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { ROOT } from '../../support/repository.ts'

/** Every custom error of every compiled contract, mocks left out. */
function compiledErrors(): Map<string, { fragment: ErrorFragment; abi: Interface; contract: string }> {
  const errors = new Map<string, { fragment: ErrorFragment; abi: Interface; contract: string }>()
  const artifacts = join(ROOT, 'artifacts', 'contracts')
  for (const file of readdirSync(artifacts, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.json') || file.startsWith('mocks')) continue
    const { abi: json, contractName } = JSON.parse(readFileSync(join(artifacts, file), 'utf8')) as {
      abi: InterfaceAbi
      contractName: string
    }
    const abi = new Interface(json)
    abi.forEachError((fragment) => errors.set(fragment.selector, { fragment, abi, contract: contractName }))
  }
  return errors
}

/** A value of each type that errors use. */
function sample({ baseType, type, components }: ParamType, i: number): unknown {
  if (baseType === 'address') return `0x${String(i + 1).repeat(40)}`
  if (baseType === 'bytes32') return `0x${String(i + 1).repeat(64)}`
  if (baseType === 'string') return 'text'
  if (baseType === 'bool') return true
  if (/^u?int/.test(type)) return BigInt(i + 1)
  if (components !== null) return components.map(sample)
  throw new Error(`no sample of ${type}`)
}

describe('decodeRevert', () => {
  const errors = compiledErrors()

  it('knows every custom error of every compiled contract', () => {
    assert(errors.size > 80, `only ${errors.size} errors were compiled`)
    for (const { fragment, abi, contract } of errors.values()) {
      const values = fragment.inputs.map(sample)
      const found = decodeRevert(abi.encodeErrorResult(fragment, values))
      assert.equal(found?.error, fragment.name, `${contract}.${fragment.name}`)
      assert.deepEqual(
        Object.values(found?.args ?? {}).map(String),
        values.map((value) => String(value)),
        `${contract}.${fragment.name}`,
      )
      assert(found?.sentence !== undefined && found.sentence.length > 0)
    }
  })

  it('says what happened with its values', () => {
    const found = [...errors.values()].find(({ fragment }) => fragment.name === 'DrawOutOfRange')
    const data = found?.abi.encodeErrorResult('DrawOutOfRange', [9, 8]) ?? '0x'
    assert.deepEqual(decodeRevert(data), {
      error: 'DrawOutOfRange',
      args: { draw: '9', draws: '8' },
      sentence: 'draw out of range (draw 9, draws 8)',
    })
  })

  it('knows a reason string and a panic', () => {
    const abi = AbiCoder.defaultAbiCoder()
    const reason = `0x08c379a0${abi.encode(['string'], ['no way']).slice(2)}`
    assert.equal(decodeRevert(reason)?.sentence, 'no way')
    const panic = `0x4e487b71${abi.encode(['uint256'], [0x11]).slice(2)}`
    assert.equal(decodeRevert(panic)?.sentence, 'a number overflowed')
  })

  it('is undefined for data of nobody we know, cut short or no hex', () => {
    for (const data of ['', '0x', '0x12', '0xdeadbeef', '0xf85c6482', 'zz', `0x${'00'.repeat(36)}`])
      assert.equal(decodeRevert(data), undefined)
  })
})

describe('chainError', () => {
  const data = `0xf85c6482${AbiCoder.defaultAbiCoder().encode(['uint256', 'uint256', 'uint256'], [3, 2, 1]).slice(2)}`

  it('finds revert data at any depth of what providers throw', () => {
    for (const error of [
      { code: 'CALL_EXCEPTION', data },
      { code: -32603, data: { data } },
      { code: 'UNKNOWN_ERROR', info: { error: { code: 3, data } } },
      Object.assign(new Error('outer'), { cause: { error: { data } } }),
    ]) {
      const { code, meta } = chainError(error)
      assert.equal(code, 'TX_REVERTED')
      assert.equal(meta.error, 'NotEnoughFee')
      assert.deepEqual(meta.args, { price: '3', amount: '2', paid: '1' })
      assert(isRevert(error, 'NotEnoughFee'))
    }
  })

  it('puts words to a revert that another part of the system reported with data only', () => {
    const reported = new ZerogError('TX_REVERTED', undefined, { meta: { data, label: 'submit-1' } })
    const { meta, message } = chainError(reported)
    assert.equal(meta.error, 'NotEnoughFee')
    assert.equal(meta.label, 'submit-1')
    assert.match(message, /not enough fee/)
  })

  it('leaves our own errors alone', () => {
    const own = new ZerogError('DISK_FULL')
    assert.equal(chainError(own), own)
  })

  it('gives each failure of a provider or wallet its code', () => {
    const codes: [unknown, string][] = [
      [{ code: 'INSUFFICIENT_FUNDS', message: '' }, 'INSUFFICIENT_FUNDS'],
      [{ code: 'NONCE_EXPIRED', message: '' }, 'NONCE_CONFLICT'],
      [{ code: 'REPLACEMENT_UNDERPRICED', message: '' }, 'TX_UNDERPRICED'],
      [{ code: 'ACTION_REJECTED', message: '' }, 'FORBIDDEN'],
      [{ code: 'NETWORK_ERROR', message: '' }, 'RPC_UNREACHABLE'],
      [{ code: 'SERVER_ERROR', message: '' }, 'RPC_UNREACHABLE'],
      [{ code: 'ECONNREFUSED', message: '' }, 'RPC_UNREACHABLE'],
      [{ code: 'TIMEOUT', message: '' }, 'TIMEOUT'],
      [{ code: 'BAD_DATA', message: '' }, 'WRONG_CHAIN'],
      [new DOMException('stop', 'AbortError'), 'ABORTED'],
      [new TypeError('bug'), 'INTERNAL'],
    ]
    for (const [error, code] of codes) assert.equal(chainError(error).code, code)
  })
})
