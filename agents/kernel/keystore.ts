import { scrypt as nodeScrypt } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isKeystoreJson, scrypt, Wallet } from 'ethers'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Asks a person for the password of a keystore. */
export type AskPassword = (prompt: string) => Promise<string>

export type KeySource = {
  readonly PRIVATE_KEY?: string | undefined
  readonly KEYSTORE_FILE?: string | undefined
  readonly KEYSTORE_PASSWORD?: string | undefined
  readonly KEYSTORE_PASSWORD_FILE?: string | undefined
}

const SCRYPT_MEMORY_BYTES = 512 * 1024 * 1024

/** Makes a new random key and writes its encrypted keystore (mode 0600). Error: FILE_EXISTS; nothing is overwritten. */
export async function createKeystore(path: string, password: string): Promise<string> {
  return await importKeystore(path, password, Wallet.createRandom().privateKey)
}

/** Writes the encrypted keystore of a given key (mode 0600) and returns its address. Error: FILE_EXISTS. */
export async function importKeystore(path: string, password: string, privateKey: string): Promise<string> {
  if (password === '') throw new ZerogError('KEYSTORE_INVALID', 'a keystore needs a password')
  useNativeScrypt()
  const wallet = walletOf(privateKey)
  const json = await wallet.encrypt(password)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    await writeFile(path, `${json}\n`, { mode: 0o600, flag: 'wx', flush: true })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new ZerogError('FILE_EXISTS', `${path} exists already`, { cause, meta: { path } })
    }
    throw cause
  }
  return wallet.address
}

/** Opens a keystore. Error: KEYSTORE_INVALID for a missing file, another format or a wrong password. */
export async function loadKeystore(path: string, password: string): Promise<Wallet> {
  useNativeScrypt()
  const json = await readSecret(path, 'keystore')
  if (!isKeystoreJson(json))
    throw new ZerogError('KEYSTORE_INVALID', `${path} is not a JSON keystore`, { meta: { path } })
  try {
    const { privateKey } = await Wallet.fromEncryptedJson(json, password)
    return new Wallet(privateKey)
  } catch {
    // The cause is left out on purpose: it may carry the password.
    throw new ZerogError('KEYSTORE_INVALID', `${path} does not open with this password`, { meta: { path } })
  }
}

/**
 * Opens the key that the configuration names: PRIVATE_KEY, or KEYSTORE_FILE with its password from
 * KEYSTORE_PASSWORD_FILE, KEYSTORE_PASSWORD, or the person whom `ask` reaches.
 *
 * Errors: CONFIG_INVALID when there is no key or more than one, KEYSTORE_INVALID.
 */
export async function loadWallet(source: KeySource, ask?: AskPassword): Promise<Wallet> {
  const { PRIVATE_KEY, KEYSTORE_FILE, KEYSTORE_PASSWORD, KEYSTORE_PASSWORD_FILE } = source
  if (PRIVATE_KEY !== undefined && KEYSTORE_FILE !== undefined) {
    throw new ZerogError('CONFIG_INVALID', 'set either PRIVATE_KEY or KEYSTORE_FILE, not both')
  }
  if (PRIVATE_KEY !== undefined) return walletOf(PRIVATE_KEY)
  if (KEYSTORE_FILE === undefined)
    throw new ZerogError('CONFIG_INVALID', 'set KEYSTORE_FILE (or PRIVATE_KEY for development)')
  const written =
    KEYSTORE_PASSWORD_FILE === undefined
      ? undefined
      : await readSecret(KEYSTORE_PASSWORD_FILE, 'password file')
  const password =
    written?.replace(/\r?\n$/, '') ?? KEYSTORE_PASSWORD ?? (await ask?.(`Password of ${KEYSTORE_FILE}: `))
  if (password === undefined) {
    throw new ZerogError(
      'CONFIG_INVALID',
      'set KEYSTORE_PASSWORD_FILE or KEYSTORE_PASSWORD to open KEYSTORE_FILE',
    )
  }
  return await loadKeystore(KEYSTORE_FILE, password)
}

function walletOf(privateKey: string): Wallet {
  try {
    return new Wallet(privateKey)
  } catch {
    throw new ZerogError('KEYSTORE_INVALID', 'the private key is not a valid key')
  }
}

async function readSecret(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new ZerogError('KEYSTORE_INVALID', `the ${what} ${path} cannot be read`, { cause, meta: { path } })
  }
}

/** The scrypt of Node.js is some ten times as fast as the portable one, and leaves the event loop free. */
function useNativeScrypt(): void {
  if (registered) return
  registered = true
  scrypt.register(
    (password, salt, N, r, p, length) =>
      new Promise((resolve, reject) => {
        nodeScrypt(password, salt, length, { N, r, p, maxmem: SCRYPT_MEMORY_BYTES }, (error, key) =>
          error ? reject(error) : resolve(`0x${key.toString('hex')}`),
        )
      }),
  )
}

let registered = false
