CREATE TABLE conversations (
  row     INTEGER PRIMARY KEY AUTOINCREMENT,
  id      TEXT NOT NULL UNIQUE,
  call_id TEXT,
  agent   TEXT NOT NULL,
  started INTEGER NOT NULL,
  ended   INTEGER
) STRICT;
CREATE INDEX conversations_call ON conversations(call_id);

CREATE TABLE turns (
  conversation_id TEXT NOT NULL REFERENCES conversations(id),
  seq             INTEGER NOT NULL,
  who             TEXT NOT NULL CHECK (who IN ('caller', 'agent')),
  text            TEXT NOT NULL,
  heard           TEXT,
  started         INTEGER NOT NULL,
  ended           INTEGER,
  confidence      REAL,
  PRIMARY KEY (conversation_id, seq)
) STRICT, WITHOUT ROWID;
