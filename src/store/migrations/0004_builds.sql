CREATE TABLE manifests (
  id       TEXT PRIMARY KEY,
  document TEXT NOT NULL,
  created  INTEGER NOT NULL
) STRICT;

-- One durable job per manifest. `stage` is the last stage that is complete; (stage, attempt) is compared before it is set.
CREATE TABLE builds (
  number          INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  manifest_id     TEXT NOT NULL UNIQUE REFERENCES manifests(id),
  conversation_id TEXT NOT NULL,
  title           TEXT NOT NULL,
  slug            TEXT NOT NULL UNIQUE,
  stage           TEXT NOT NULL,
  attempt         INTEGER NOT NULL DEFAULT 0,
  begun           INTEGER,
  plan            TEXT,
  bundle_commit   TEXT,
  failure         TEXT,
  url             TEXT,
  requested       INTEGER NOT NULL,
  approved        INTEGER,
  live            INTEGER,
  updated         INTEGER NOT NULL
) STRICT;
CREATE INDEX builds_open ON builds(number) WHERE stage NOT IN ('tracked', 'parked', 'failed');
