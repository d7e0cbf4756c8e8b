CREATE TABLE calls (
  row             INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  direction       TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound')),
  caller          TEXT NOT NULL,
  callee          TEXT NOT NULL,
  source          TEXT NOT NULL,
  app             TEXT NOT NULL,
  conversation_id TEXT,
  started         INTEGER NOT NULL,
  answered        INTEGER,
  ended           INTEGER,
  ended_by        TEXT,
  reason          TEXT,
  media           TEXT
) STRICT;
CREATE INDEX calls_open ON calls(row) WHERE ended IS NULL;
