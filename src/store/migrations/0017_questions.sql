-- What kernels ask in the middle of a build, a row for each question of a build. `due` is milliseconds of Unix time until which the
-- build waits for an answer; NULL: it does not wait.
CREATE TABLE questions (
  row         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  build_id    TEXT NOT NULL REFERENCES builds(id),
  name        TEXT NOT NULL,
  question    TEXT NOT NULL,
  choices     TEXT NOT NULL,
  fallback    TEXT NOT NULL,
  due         INTEGER,
  state       TEXT NOT NULL CHECK (state IN ('open', 'answered', 'defaulted')),
  answer      TEXT,
  answered_by TEXT CHECK (answered_by IN ('voice', 'api')),
  follow_up   TEXT,
  asked       INTEGER NOT NULL,
  updated     INTEGER NOT NULL,
  UNIQUE (build_id, name)
) STRICT;
