-- Where callers were when their line was cut, by caller and agent: one row each, replaced as the talk goes on.
CREATE TABLE kept (
  caller          TEXT NOT NULL,
  agent           TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  begun           INTEGER NOT NULL,
  updated         INTEGER NOT NULL,
  document        TEXT NOT NULL,
  PRIMARY KEY (caller, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_updated ON kept(updated);
