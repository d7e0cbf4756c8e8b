-- What the daemon knows of the world: versioned documents by category (build_spec, deployment).
CREATE TABLE world (
  category TEXT NOT NULL,
  key      TEXT NOT NULL,
  version  INTEGER NOT NULL,
  document TEXT NOT NULL,
  time     INTEGER NOT NULL,
  PRIMARY KEY (category, key, version)
) STRICT, WITHOUT ROWID;
