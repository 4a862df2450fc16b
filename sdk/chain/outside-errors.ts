/**
 * Custom errors that our contracts can raise and that no interface of ours declares: those of libraries, of inherited
 * OpenZeppelin contracts, and of contracts' private parts. A test compares the list with every compiled ABI.
 */
export const OUTSIDE_ERRORS = [
  'error NoCustody()',
  'error NotASector(uint256 byteLength)',
  'error NotPaddedLength(uint256 paddedSectors)',
  'error FlowFull(uint256 length, uint256 height)',
  'error TreeNotFresh(uint256 length)',
  'error OutsideCode(uint256 parity, uint256 data)',
  'error FieldNotPresentInBlockHeader(uint8 field)',
  'error RLPInvalidEncoding()',
  'error CheckpointUnorderedInsertion()',
  'error OwnableInvalidOwner(address owner)',
  'error OwnableUnauthorizedAccount(address account)',
  'error SafeCastOverflowedUintDowncast(uint8 bits, uint256 value)',
  'error SafeCastOverflowedIntDowncast(uint8 bits, int256 value)',
  'error InvalidShortString()',
  'error StringTooLong(string text)',
  'error ReentrancyGuardReentrantCall()',
]
