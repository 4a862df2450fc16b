import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { bindChain } from '../../../agents/kernel/genesis.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { tempDir } from '../../support/temp-dir.ts'

const codeOf = (code: string) => (error: unknown) => error instanceof ZerogError && error.code === code
const STEPS = ['CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT']

describe('openStore', () => {
  it('default: keeps what was committed over a restart', () => {
    const path = `${tempDir()}/deep/store.sqlite`
    const first = openStore(path)
    first.migrate('test', STEPS)
    assert.equal(first.run('INSERT INTO item VALUES (?, ?)', 1, 'one'), 1)
    first.writeMeta('key', 'value')
    first.close()
    const second = openStore(path)
    second.migrate('test', STEPS)
    assert.deepEqual({ ...second.get('SELECT * FROM item WHERE id = ?', 1) }, { id: 1, text: 'one' })
    assert.equal(second.readMeta('key'), 'value')
    second.close()
  })

  it('behavior: a transaction that throws leaves nothing, with inner ones', () => {
    const store = openStore(`${tempDir()}/store.sqlite`)
    store.migrate('test', STEPS)
    assert.throws(() =>
      store.transaction((tx) => {
        tx.run('INSERT INTO item VALUES (1, ?)', 'a')
        store.transaction((inner) => inner.run('INSERT INTO item VALUES (2, ?)', 'b'))
        throw new Error('stop')
      }),
    )
    assert.deepEqual(store.all('SELECT * FROM item'), [])
    assert.throws(() => store.transaction(async () => undefined), TypeError)
    store.transaction((tx) => tx.run('INSERT INTO item VALUES (3, ?)', 'c'))
    assert.equal(store.all('SELECT * FROM item').length, 1)
    store.close()
  })

  it('behavior: applies only the new steps, and none of a failed step', () => {
    const path = `${tempDir()}/store.sqlite`
    const store = openStore(path)
    store.migrate('test', STEPS)
    const more = [...STEPS, 'ALTER TABLE item ADD COLUMN size INTEGER']
    assert.throws(() => store.migrate('test', [...more, 'NOT SQL']))
    store.migrate('test', more)
    store.run('INSERT INTO item VALUES (1, ?, 2)', 'x')
    assert.throws(() => store.migrate('test', STEPS), codeOf('STORE_NEWER'))
    store.close()
  })

  it('error: a second process is refused', () => {
    const path = `${tempDir()}/store.sqlite`
    const store = openStore(path)
    assert.throws(() => openStore(path), codeOf('DATA_DIR_IN_USE'))
    store.close()
    openStore(path).close()
  })
})

describe('openStore on what is no database', () => {
  it('error: a damaged file and a path that cannot be made', () => {
    const dir = tempDir()
    writeFileSync(`${dir}/store.sqlite`, 'this is not a database, not by any means at all'.repeat(100))
    assert.throws(() => openStore(`${dir}/store.sqlite`), codeOf('STORE_CORRUPT'))
    assert.throws(() => openStore(`${dir}/store.sqlite/deeper/store.sqlite`), codeOf('STORE_CORRUPT'))
  })
})

describe('bindChain', () => {
  const identity = { chainId: 31337n, genesisHash: '0xaa', addresses: { flow: '0xF1' } }

  it('default: the first start decides, later ones agree and may add contracts', () => {
    const store = openStore(`${tempDir()}/store.sqlite`)
    bindChain(store, identity)
    bindChain(store, { ...identity, addresses: { flow: '0xf1', market: '0x02' } })
    bindChain(store, { ...identity, addresses: { market: '0x02' } })
    store.close()
  })

  it('error: another chain, genesis or address is refused, and changes nothing', () => {
    const store = openStore(`${tempDir()}/store.sqlite`)
    bindChain(store, identity)
    assert.throws(() => bindChain(store, { ...identity, chainId: 1n }), codeOf('WRONG_CHAIN'))
    assert.throws(() => bindChain(store, { ...identity, genesisHash: '0xbb' }), codeOf('WRONG_CHAIN'))
    const other = { prover: '0x03', flow: '0xF2' }
    assert.throws(() => bindChain(store, { ...identity, addresses: other }), codeOf('WRONG_CHAIN'))
    bindChain(store, { ...identity, addresses: { prover: '0x04' } })
    store.close()
  })
})
