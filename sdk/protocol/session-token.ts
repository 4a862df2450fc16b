import {
  decodeBase64,
  encodeBase64,
  getAddress,
  getBytes,
  id,
  isAddress,
  toUtf8Bytes,
  verifyMessage,
} from 'ethers'
import { ZerogError } from './errors.ts'

/**
 * What a user's key says about who may spend from one (user, provider) account. Times are Unix milliseconds;
 * `expiresAt` 0 means never. `tokenId` 0 to 254 are keys that can be revoked on chain one by one, 255 is a session.
 */
export type SessionToken = {
  readonly address: string
  readonly provider: string
  readonly timestamp: number
  readonly expiresAt: number
  readonly nonce: string
  readonly generation: number
  readonly tokenId: number
}

/** A token as read from a header: what it says is not verified yet. `json` is exactly what was signed. */
export type SignedSessionToken = {
  readonly token: SessionToken
  readonly json: string
  readonly signature: string
}

export const SESSION_PREFIX = 'app-sk-'
/** The id of tokens that cannot be revoked alone, and so live for a day at most. */
export const EPHEMERAL_TOKEN_ID = 255
export const MAX_EPHEMERAL_MS = 24 * 3600 * 1000
/** By how much the clocks of user and provider may differ. */
const MAX_SKEW_MS = 10 * 60 * 1000

/** Longest token that is looked at. */
const MAX_CHARS = 4096

/** The text that is signed: keys in the order of the public format. */
export function sessionTokenJson(token: SessionToken): string {
  const { address, provider, timestamp, expiresAt, nonce, generation, tokenId } = token
  return JSON.stringify({ address, provider, timestamp, expiresAt, nonce, generation, tokenId })
}

/** The 32 bytes that the user's key signs as an EIP-191 personal message. */
export function sessionTokenDigest(json: string): Uint8Array {
  return getBytes(id(json))
}

/** The API key: `app-sk-` and base64 of the JSON, a bar and the signature. */
export function formatSessionToken({
  json,
  signature,
}: Pick<SignedSessionToken, 'json' | 'signature'>): string {
  return SESSION_PREFIX + encodeBase64(toUtf8Bytes(`${json}|${signature}`))
}

/** Makes an API key with the user's personal signature of {@link sessionTokenDigest}. */
export async function createSessionToken(
  token: SessionToken,
  signMessage: (digest: Uint8Array) => Promise<string>,
): Promise<string> {
  const json = sessionTokenJson(token)
  return formatSessionToken({ json, signature: await signMessage(sessionTokenDigest(json)) })
}

/** Reads an API key without its `Bearer `. Throws UNAUTHORIZED when it has another form. */
export function parseSessionToken(text: string): SignedSessionToken {
  if (!text.startsWith(SESSION_PREFIX)) throw malformed(`an API key starts with ${SESSION_PREFIX}`)
  if (text.length > MAX_CHARS) throw malformed(`an API key has at most ${MAX_CHARS} characters`)
  let decoded: string
  try {
    decoded = new TextDecoder('utf-8', { fatal: true }).decode(
      decodeBase64(text.slice(SESSION_PREFIX.length)),
    )
  } catch (cause) {
    throw malformed('the API key is not base64 of a text', cause)
  }
  const bar = decoded.lastIndexOf('|')
  const json = decoded.slice(0, Math.max(bar, 0))
  const signature = decoded.slice(bar + 1)
  if (bar < 0 || !/^0x[0-9a-fA-F]{130}$/.test(signature)) throw malformed('the API key has no signature')
  return { token: parseJson(json), json, signature }
}

/**
 * Who signed the token. Throws UNAUTHORIZED unless it is the address that the token names.
 */
export function verifySessionToken({ token, json, signature }: SignedSessionToken): string {
  let signer: string
  try {
    signer = verifyMessage(sessionTokenDigest(json), signature)
  } catch (cause) {
    throw malformed('the signature of the API key is malformed', cause)
  }
  if (signer !== token.address) throw malformed('the API key is not signed by the address that it names')
  return signer
}

/** Says why a verified token does not count now, or undefined. `nowMs` is Unix time. */
export function sessionTokenFault(
  token: SessionToken,
  account: { provider: string; generation: bigint; revokedBitmap: bigint; nowMs: number },
): string | undefined {
  const { provider, generation, revokedBitmap, nowMs } = account
  if (token.provider.toLowerCase() !== provider.toLowerCase())
    return `the API key is for provider ${token.provider}, this is ${provider}`
  if (token.expiresAt !== 0 && token.expiresAt <= nowMs) return 'the API key has expired'
  if (token.tokenId === EPHEMERAL_TOKEN_ID) {
    const lifeMs = token.expiresAt - token.timestamp
    const leftMs = token.expiresAt - nowMs
    if (token.expiresAt === 0 || lifeMs > MAX_EPHEMERAL_MS || leftMs > MAX_EPHEMERAL_MS + MAX_SKEW_MS)
      return 'a session key lives for 24 hours at most'
  }
  if (BigInt(token.generation) !== generation) return 'the API key was revoked with all others of its account'
  if (token.tokenId !== EPHEMERAL_TOKEN_ID && ((revokedBitmap >> BigInt(token.tokenId)) & 1n) === 1n)
    return 'the API key was revoked'
  return undefined
}

function parseJson(json: string): SessionToken {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw malformed('the API key holds no JSON', cause)
  }
  if (typeof value !== 'object' || value === null) throw malformed('the API key holds no object')
  const fields = value as Record<string, unknown>
  const { address, provider, nonce } = fields
  if (typeof address !== 'string' || !isAddress(address)) throw malformed('the API key names no address')
  if (typeof provider !== 'string' || !isAddress(provider)) throw malformed('the API key names no provider')
  const whole = (name: string, most: number): number => {
    const number = fields[name]
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 && number <= most)
      return number
    throw malformed(`${name} of the API key is not a whole number`)
  }
  return {
    address: getAddress(address.toLowerCase()),
    provider: getAddress(provider.toLowerCase()),
    timestamp: whole('timestamp', Number.MAX_SAFE_INTEGER),
    expiresAt: whole('expiresAt', Number.MAX_SAFE_INTEGER),
    nonce: typeof nonce === 'string' ? nonce : String(nonce),
    generation: whole('generation', Number.MAX_SAFE_INTEGER),
    tokenId: whole('tokenId', EPHEMERAL_TOKEN_ID),
  }
}

function malformed(message: string, cause?: unknown): ZerogError {
  return new ZerogError('UNAUTHORIZED', message, cause === undefined ? {} : { cause })
}
