import { verifyMessage } from 'ethers'

/** SHA-256 of a request and of its response, 32 bytes each as 64 hex digits without 0x. */
export type ResponseHashes = { readonly requestSha256: string; readonly responseSha256: string }

/**
 * The text that a provider signs for a response (EIP-191): both hashes in lower case with a colon between. Of a stream,
 * the response is every raw byte of it.
 */
export function responseText({ requestSha256, responseSha256 }: ResponseHashes): string {
  return `${requestSha256.toLowerCase()}:${responseSha256.toLowerCase()}`
}

/** Reads a signed text; parts after the second colon are others' business. Undefined when it has another form. */
export function parseResponseText(text: string): ResponseHashes | undefined {
  const [, requestSha256, responseSha256] = /^([0-9a-f]{64}):([0-9a-f]{64})(?::|$)/.exec(text) ?? []
  if (requestSha256 === undefined || responseSha256 === undefined) return undefined
  return { requestSha256, responseSha256 }
}

/** Who signed a response's text; undefined when the signature is malformed. */
export function responseSigner(text: string, signature: string): string | undefined {
  try {
    return verifyMessage(text, signature)
  } catch {
    return undefined
  }
}
