CREATE TABLE apps (
  slug       TEXT PRIMARY KEY,
  title      TEXT NOT NULL,
  build_type TEXT NOT NULL,
  build_id   TEXT NOT NULL REFERENCES builds(id),
  version    INTEGER NOT NULL,
  revision   TEXT NOT NULL,
  bundle     TEXT NOT NULL,
  data       TEXT NOT NULL,
  port       INTEGER NOT NULL UNIQUE,
  url        TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('live', 'stopped')),
  deployed   INTEGER NOT NULL
) STRICT;
