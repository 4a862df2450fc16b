import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { computeAddress, type Wallet } from 'ethers'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { createKeystore, importKeystore, loadKeystore } from '../kernel/keystore.ts'
import type { Output } from './output.ts'
import type { Session } from './session.ts'

/** An operator's key with the variables that lead an agent to it. */
export type OperatorKey = {
  wallet: Wallet
  keystoreFile: string
  passwordFile: string | undefined
}

/**
 * The key that is configured already, or the one in the data folder, or a new or imported one in an encrypted keystore.
 * An existing keystore is never replaced, and nothing is written when it does not open.
 *
 * Errors: CONFIG_INVALID when PRIVATE_KEY is set; KEYSTORE_INVALID; FILE_EXISTS when another key was to be imported;
 * FILE_MISSING and BAD_HEX for the key to import.
 */
export async function openOrMakeKey(
  session: Session,
  output: Output,
  { dataDir, importKey, passwordFile: given }: openOrMakeKey.Options,
): Promise<OperatorKey> {
  const { config, usesDevnet } = session
  if (config.PRIVATE_KEY !== undefined && !usesDevnet) {
    throw new ZerogError(
      'CONFIG_INVALID',
      'PRIVATE_KEY is set, and an agent takes one key only: remove it, and give --import-key FILE to keep that key',
    )
  }
  const imported = importKey === undefined ? undefined : readKey(importKey)
  const key = await openKey(session, { dataDir, given })
  if (key !== undefined) {
    if (imported !== undefined && computeAddress(imported) !== key.wallet.address) {
      throw new ZerogError('FILE_EXISTS', `${key.keystoreFile} holds another key: ${key.wallet.address}`)
    }
    return key
  }
  const keystoreFile = join(dataDir, 'keystore.json')
  const passwordFile = resolve(given ?? join(dataDir, 'keystore.password'))
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flush: true })
    output.note(`password    made ${passwordFile}`)
  }
  const password = readPassword(passwordFile)
  const address =
    imported === undefined
      ? await createKeystore(keystoreFile, password)
      : await importKeystore(keystoreFile, password, imported)
  output.note(`key         ${imported === undefined ? 'made' : 'imported'} ${address}`)
  return { wallet: await loadKeystore(keystoreFile, password), keystoreFile, passwordFile }
}

export declare namespace openOrMakeKey {
  type Options = { dataDir: string; importKey: string | undefined; passwordFile: string | undefined }
}

/** The configured keystore (open already), or that of the data folder; undefined when there is none. */
async function openKey(
  { config, wallet }: Session,
  { dataDir, given }: { dataDir: string; given: string | undefined },
): Promise<OperatorKey | undefined> {
  if (config.KEYSTORE_FILE !== undefined && wallet !== undefined) {
    const configured = config.KEYSTORE_PASSWORD_FILE
    return {
      wallet,
      keystoreFile: resolve(config.KEYSTORE_FILE),
      passwordFile: configured === undefined ? undefined : resolve(configured),
    }
  }
  const keystoreFile = join(dataDir, 'keystore.json')
  if (!existsSync(keystoreFile)) return undefined
  const passwordFile = resolve(given ?? join(dataDir, 'keystore.password'))
  return { wallet: await loadKeystore(keystoreFile, readPassword(passwordFile)), keystoreFile, passwordFile }
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    throw new ZerogError('KEYSTORE_INVALID', `the password file ${file} cannot be read`, { cause })
  }
}

function readKey(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new ZerogError('FILE_MISSING', `the key file ${file} cannot be read`, { cause })
  }
  if (/^(0x)?[0-9a-fA-F]{64}$/.test(text)) return text.startsWith('0x') ? text : `0x${text}`
  throw new ZerogError('BAD_HEX', `${file} does not hold a private key: 64 hex digits`)
}
