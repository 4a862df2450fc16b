import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEnv } from 'node:util'
import type { z } from 'zod'
import {
  describeEnv,
  envAddress,
  envBoolean,
  envInteger,
  kernelEnv,
  loadConfig,
  unknownVariables,
} from '../../../agents/kernel/config.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'

const schema = kernelEnv.extend({
  SHARD_CAPACITY: envInteger(1, 100).describe('Shards to keep'),
  OWNER: envAddress().optional().describe('Owner'),
  DRY_RUN: envBoolean().default(false).describe('Only say what would be done'),
})

describe('loadConfig', () => {
  it('default: reads, converts and fills in', () => {
    const config = loadConfig(schema, {
      SHARD_CAPACITY: '7',
      DRY_RUN: 'yes',
      RPC_URL: 'https://rpc.example/',
      MAX_FEE_GWEI: '1.5',
      CHAIN_ID: '16602',
      PRIVATE_KEY: 'ab'.repeat(32),
      REDIS_URL: '',
    })
    assert.equal(config.SHARD_CAPACITY, 7)
    assert.equal(config.DRY_RUN, true)
    assert.equal(config.RPC_URL, 'https://rpc.example')
    assert.equal(config.MAX_FEE_GWEI, 1_500_000_000n)
    assert.equal(config.CHAIN_ID, 16602n)
    assert.equal(config.PRIVATE_KEY, `0x${'ab'.repeat(32)}`)
    assert.equal(config.REDIS_URL, undefined)
    assert.equal(config.CONFIRMATIONS, 1)
  })

  it('error: lists every bad variable with what is expected, and no value', () => {
    const env = {
      RPC_URL: 'localhost',
      HTTP_PORT: '99999',
      OWNER: '0x12',
      PRIVATE_KEY: 'hunter2',
      LOG_LEVEL: 'loud',
      DRY_RUN: 'maybe',
    }
    assert.throws(
      () => loadConfig(schema, env),
      (error) => {
        assert.ok(error instanceof ZerogError && error.code === 'CONFIG_INVALID')
        assert.deepEqual(error.message.split('\n').slice(1).sort(), [
          '  DRY_RUN: must be true or false',
          '  HTTP_PORT: must be a whole number up to 65535',
          '  LOG_LEVEL: must be fatal, error, warn, info, debug, trace or silent',
          '  OWNER: must be an address: 0x and 40 hex digits',
          '  PRIVATE_KEY: must be 64 hex digits',
          '  RPC_URL: must be an http:// or https:// URL',
          '  SHARD_CAPACITY: is required',
        ])
        assert.ok(!JSON.stringify(error).includes('hunter2'))
        return true
      },
    )
  })
})

describe('describeEnv', () => {
  it('default: every variable has a description and the text is a valid .env file', () => {
    const text = describeEnv(schema)
    for (const [name, field] of Object.entries(schema.shape))
      assert.ok((field as z.ZodType).description, `${name} needs one`)
    assert.match(text, /^# Shards to keep \(required\)\nSHARD_CAPACITY=$/m)
    assert.match(text, /^#MAX_FEE_GWEI=500$/m)
    const uncommented = text.replaceAll(/^#([A-Z_]+=)/gm, '$1')
    const config = loadConfig(schema, { ...parseEnv(uncommented), SHARD_CAPACITY: '1' })
    assert.deepEqual(
      config,
      loadConfig(schema, { SHARD_CAPACITY: '1' }),
      'the defaults it shows are the defaults',
    )
  })
})

describe('unknownVariables', () => {
  it('default: names what nobody reads', () => {
    const env = { ZEROG_SHARDS: '1', ZEROG_CRASH_AT: 'x', ZEROG_HOME: 'y', PATH: '/bin' }
    assert.deepEqual(unknownVariables(['ZEROG_HOME'], env), ['ZEROG_SHARDS'])
  })
})
