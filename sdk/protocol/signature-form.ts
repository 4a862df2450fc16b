/**
 * Whether a signature has the one form that the contracts take: 65 bytes of hex that end in v = 27 or 28 (OpenZeppelin's ECDSA). Libraries
 * also recover a signer from other values of v: what they take and the chain refuses would be a promise that nobody can enforce.
 */
export function hasContractForm(signature: string): boolean {
  return /^0x[0-9a-fA-F]{128}1[bBcC]$/.test(signature)
}
