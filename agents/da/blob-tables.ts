/** Tables of the blob index: steps of its migration, only ever appended to. */
export const BLOB_TABLES = [
  `CREATE TABLE da_blob (
     number INTEGER PRIMARY KEY,
     blob_id TEXT NOT NULL,
     header TEXT NOT NULL,
     payload_hash TEXT NOT NULL,
     disperser TEXT NOT NULL,
     epoch TEXT NOT NULL,
     nonce TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     payer TEXT NOT NULL,
     block INTEGER NOT NULL,
     tx TEXT NOT NULL
   ) STRICT;
   CREATE INDEX da_blob_id ON da_blob (blob_id);
   CREATE INDEX da_blob_nonce ON da_blob (disperser, epoch, nonce);
   CREATE INDEX da_blob_payload ON da_blob (payload_hash);
   CREATE INDEX da_blob_expiry ON da_blob (expires_at);
   CREATE TABLE da_blob_change (
     blob_id TEXT NOT NULL,
     kind TEXT NOT NULL,
     columns TEXT,
     block INTEGER NOT NULL,
     log_index INTEGER NOT NULL,
     PRIMARY KEY (block, log_index)
   ) STRICT;
   CREATE INDEX da_blob_change_blob ON da_blob_change (blob_id, kind);
   CREATE TABLE da_member_change (
     operator TEXT NOT NULL,
     joined INTEGER NOT NULL,
     block INTEGER NOT NULL,
     log_index INTEGER NOT NULL,
     PRIMARY KEY (block, log_index)
   ) STRICT;
   CREATE INDEX da_member_change_operator ON da_member_change (operator, block, log_index);
   CREATE TABLE da_fault (
     fault_id TEXT NOT NULL,
     block INTEGER NOT NULL,
     log_index INTEGER NOT NULL,
     punished INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (block, log_index)
   ) STRICT;
   CREATE TABLE da_line_entry (
     entry_index INTEGER PRIMARY KEY,
     number INTEGER NOT NULL,
     start INTEGER NOT NULL,
     cells INTEGER NOT NULL,
     block INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX da_line_entry_start ON da_line_entry (start);`,
]
