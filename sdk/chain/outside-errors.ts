/**
 * Custom errors that our contracts can raise and that no interface of ours declares: those of libraries, of inherited
 * OpenZeppelin contracts, and of contracts' private parts. A test compares the list with every compiled ABI.
 */
export const OUTSIDE_ERRORS = [
  'error NoCustody()',
  'error NotASector(uint256 byteLength)',
  'error NotPaddedLength(uint256 paddedSectors)',
]
