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
]

export type CellFaults = ReturnType<typeof openCellFaults>

/** Faulty leaves that came by, one for each blob: one convicts. They wait here for the dispute. */
export function openCellFaults(store: Store) {
  store.migrate('da-faults', STEPS)
  return {
    put({ blobId, blobIndex, column, cell, proof, path, commitment, commitmentPath }: CellFault): void {
      store.run(
        'INSERT OR IGNORE INTO da_cell_fault VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)',
        ...[blobId, blobIndex, column, cell, proof, path, commitment, commitmentPath],
      )
    },

    open: (): CellFault[] =>
      store.all<FaultRow>('SELECT * FROM da_cell_fault WHERE settled IS NULL ORDER BY rowid').map(toFault),

    get(blobId: string): CellFault | undefined {
      const row = store.get<FaultRow>('SELECT * FROM da_cell_fault WHERE blob_id = ?', blobId)
      return row && toFault(row)
    },

    /** No more to be done: convicted, or why it cannot be. */
    settle(blobId: string, outcome: 'convicted' | ErrorCode): void {
      store.run('UPDATE da_cell_fault SET settled = ? WHERE blob_id = ?', outcome, blobId)
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
