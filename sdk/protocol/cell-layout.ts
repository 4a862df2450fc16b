/** Field elements of one KZG blob (EIP-4844). */
export const FIELD_ELEMENTS_PER_BLOB = 4096
/** Bytes of a field element of BLS12-381's scalar field, big-endian. */
export const ELEMENT_BYTES = 32
/** Bytes of one KZG blob. */
export const BLOB_BYTES = FIELD_ELEMENTS_PER_BLOB * ELEMENT_BYTES
/** Cells of one extended KZG blob (EIP-7594). */
export const COLUMNS = 128
/** Columns that restore everything. */
export const DATA_COLUMNS = 64
/** Field elements of one cell. */
export const ELEMENTS_PER_CELL = 64
/** Bytes of one cell. */
export const CELL_BYTES = ELEMENTS_PER_CELL * ELEMENT_BYTES
/** Bytes of a cell's KZG proof, a compressed G1 point. */
export const PROOF_BYTES = 48
/** Bytes of a KZG commitment, a compressed G1 point. */
export const COMMITMENT_BYTES = 48
/** Most KZG blobs under one header. */
export const MAX_BLOBS = 256
