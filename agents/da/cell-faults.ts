import type { ErrorCode } from '../../sdk/protocol/errors.ts'
import type { Store } from '../kernel/store.ts'

/** A leaf under a signed header that does not fit its commitment, with all that the court needs to see it. */
export type CellFault = {
  readonly blobId: string
  readonly blobIndex: number
  readonly column: number
  readonly cell: Uint8Array
  readonly proof: Uint8Array
  /** Siblings of 32 bytes, from the leaf up to `cellsRoot`. */
  readonly path: Uint8Array
  readonly commitment: Uint8Array
  /** Siblings of 32 bytes, from the commitment's leaf up to `commitmentsRoot`. */
  readonly commitmentPath: Uint8Array
}

/** Which column a fault is in. */
export type FaultPlace = Pick<CellFault, 'blobId' | 'column'>

type FaultRow = {
  blob_id: string
  blob_index: number
  position: number
  cell: Uint8Array<ArrayBuffer>
  proof: Uint8Array<ArrayBuffer>
  path: Uint8Array<ArrayBuffer>
  commitment: Uint8Array<ArrayBuffer>
  commitment_path: Uint8Array<ArrayBuffer>
}

const STEPS = [
  `CREATE TABLE da_cell_fault (
     blob_id TEXT PRIMARY KEY,
     blob_index INTEGER NOT NULL,
     position INTEGER NOT NULL,
     cell BLOB NOT NULL,
     proof BLOB NOT NULL,
     path BLOB NOT NULL,
     commitment BLOB NOT NULL,
     commitment_path BLOB NOT NULL,
     settled TEXT
   ) STRICT;`,
  // Each column has attesters of its own.
  `CREATE TABLE da_column_fault (
     blob_id TEXT NOT NULL,
     blob_index INTEGER NOT NULL,
     position INTEGER NOT NULL,
     cell BLOB NOT NULL,
     proof BLOB NOT NULL,
     path BLOB NOT NULL,
     commitment BLOB NOT NULL,
     commitment_path BLOB NOT NULL,
     settled TEXT,
     PRIMARY KEY (blob_id, position)
   ) STRICT;
   INSERT INTO da_column_fault SELECT * FROM da_cell_fault;
   DROP TABLE da_cell_fault;`,
]

export type CellFaults = ReturnType<typeof openCellFaults>

/** Faulty leaves that came by, one for each column of a blob: one convicts its attesters. They wait here for the dispute. */
export function openCellFaults(store: Store) {
  store.migrate('da-faults', STEPS)
  return {
    put({ blobId, blobIndex, column, cell, proof, path, commitment, commitmentPath }: CellFault): void {
      store.run(
        'INSERT OR IGNORE INTO da_column_fault VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)',
        ...[blobId, blobIndex, column, cell, proof, path, commitment, commitmentPath],
      )
    },

    open: (): FaultPlace[] =>
      store
        .all<{ blob_id: string; position: number }>(
          'SELECT blob_id, position FROM da_column_fault WHERE settled IS NULL ORDER BY rowid',
        )
        .map(({ blob_id, position }) => ({ blobId: blob_id, column: position })),

    get({ blobId, column }: FaultPlace): CellFault | undefined {
      const row = store.get<FaultRow>(
        'SELECT * FROM da_column_fault WHERE blob_id = ? AND position = ?',
        blobId,
        column,
      )
      return row && toFault(row)
    },

    /** No more to be done: convicted, or why it cannot be. */
    settle({ blobId, column }: FaultPlace, outcome: 'convicted' | ErrorCode): void {
      store.run(
        'UPDATE da_column_fault SET settled = ? WHERE blob_id = ? AND position = ?',
        outcome,
        blobId,
        column,
      )
    },
  }
}

function toFault(row: FaultRow): CellFault {
  return {
    blobId: row.blob_id,
    blobIndex: row.blob_index,
    column: row.position,
    cell: row.cell,
    proof: row.proof,
    path: row.path,
    commitment: row.commitment,
    commitmentPath: row.commitment_path,
  }
}
