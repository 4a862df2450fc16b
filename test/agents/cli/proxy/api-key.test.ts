import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openApiKey } from '../../../../agents/cli/proxy/api-key.ts'
import { openStore } from '../../../../agents/kernel/store.ts'

describe('openApiKey', () => {
  it('default: shown once, kept as a hash, asked for with every request', () => {
    const store = openStore(':memory:')
    const first = openApiKey(store)
    const fresh = first.fresh ?? ''
    assert.match(fresh, /^sk-zerog-[\w-]{32}$/)
    assert.doesNotMatch(JSON.stringify(store.all('SELECT * FROM kernel_meta')), new RegExp(fresh))
    first.check(`Bearer ${fresh}`)
    first.check(`bearer ${fresh}`)

    const again = openApiKey(store)
    assert.equal(again.fresh, undefined)
    again.check(`Bearer ${fresh}`)
    const renewed = openApiKey(store, { renew: true })
    assert.notEqual(renewed.fresh, fresh)
    assert.throws(() => renewed.check(`Bearer ${fresh}`), { code: 'UNAUTHORIZED' })
  })

  it('error: another key, another scheme, none', () => {
    const { fresh = '', check } = openApiKey(openStore(':memory:'))
    for (const header of [
      undefined,
      '',
      fresh,
      `Basic ${fresh}`,
      `Bearer ${fresh}x`,
      'Bearer ',
      `Bearer  ${fresh}`,
    ])
      assert.throws(() => check(header), { code: 'UNAUTHORIZED' }, String(header))
  })
})
