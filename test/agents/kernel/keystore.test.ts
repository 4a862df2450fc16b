import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { computeAddress, Wallet } from 'ethers'
import { createKeystore, importKeystore, loadKeystore, loadWallet } from '../../../agents/kernel/keystore.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { DEV_KEYS } from '../../support/anvil.ts'
import { tempDir } from '../../support/temp-dir.ts'

const codeOf = (code: string) => (error: unknown) => {
  assert.ok(error instanceof ZerogError && error.code === code, String(error))
  // Neither the message nor the values may give a secret away.
  assert.doesNotMatch(
    JSON.stringify({ ...error, message: error.message, cause: String(error.cause) }),
    /secret/,
  )
  return true
}

describe('createKeystore', () => {
  it('default: writes an encrypted file that only its owner may read, and opens it', async () => {
    const path = `${tempDir()}/keys/operator.json`
    const address = await createKeystore(path, 'secret')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal((await loadKeystore(path, 'secret')).address, address)
  })

  it('behavior: other software opens it, and it opens theirs', async () => {
    const path = `${tempDir()}/operator.json`
    const address = await importKeystore(path, 'secret', DEV_KEYS[0])
    const json = readFileSync(path, 'utf8')
    assert.equal(address, computeAddress(DEV_KEYS[0]))
    assert.ok(!json.includes(DEV_KEYS[0].slice(2)))
    assert.equal(Wallet.fromEncryptedJsonSync(json, 'secret').privateKey, DEV_KEYS[0])
  })

  it('error: never overwrites, and wants a password', async () => {
    const path = `${tempDir()}/operator.json`
    writeFileSync(path, 'mine')
    await assert.rejects(createKeystore(path, 'secret'), codeOf('FILE_EXISTS'))
    assert.equal(readFileSync(path, 'utf8'), 'mine')
    await assert.rejects(createKeystore(`${path}.new`, ''), codeOf('KEYSTORE_INVALID'))
  })

  it('error: a wrong password, another format, a missing file, a bad key', async () => {
    const dir = tempDir()
    await importKeystore(`${dir}/good.json`, 'secret', DEV_KEYS[0])
    writeFileSync(`${dir}/bad.json`, '{}')
    await assert.rejects(loadKeystore(`${dir}/good.json`, 'not the secret'), codeOf('KEYSTORE_INVALID'))
    await assert.rejects(loadKeystore(`${dir}/bad.json`, 'secret'), codeOf('KEYSTORE_INVALID'))
    await assert.rejects(loadKeystore(`${dir}/none.json`, 'secret'), codeOf('KEYSTORE_INVALID'))
    await assert.rejects(
      importKeystore(`${dir}/key.json`, 'secret', `0x${'00'.repeat(32)}`),
      codeOf('KEYSTORE_INVALID'),
    )
  })
})

describe('loadWallet', () => {
  it('default: the password comes from a file, the environment, or a person', async () => {
    const dir = tempDir()
    const KEYSTORE_FILE = `${dir}/operator.json`
    const address = await importKeystore(KEYSTORE_FILE, 'secret', DEV_KEYS[1])
    writeFileSync(`${dir}/password`, 'secret\n')
    const fromFile = await loadWallet({ KEYSTORE_FILE, KEYSTORE_PASSWORD_FILE: `${dir}/password` })
    const fromEnv = await loadWallet({ KEYSTORE_FILE, KEYSTORE_PASSWORD: 'secret' })
    const fromPerson = await loadWallet({ KEYSTORE_FILE }, async () => 'secret')
    assert.deepEqual([fromFile.address, fromEnv.address, fromPerson.address], [address, address, address])
    assert.equal((await loadWallet({ PRIVATE_KEY: DEV_KEYS[1] })).address, address)
  })

  it('error: no key, two keys, no password', async () => {
    await assert.rejects(loadWallet({}), codeOf('CONFIG_INVALID'))
    await assert.rejects(
      loadWallet({ PRIVATE_KEY: DEV_KEYS[0], KEYSTORE_FILE: 'x' }),
      codeOf('CONFIG_INVALID'),
    )
    await assert.rejects(loadWallet({ KEYSTORE_FILE: 'x' }), codeOf('CONFIG_INVALID'))
  })
})
