-- Where telephones registered last, so that they are called after a restart before they register again.
CREATE TABLE bindings (
  extension  TEXT NOT NULL,
  contact    TEXT NOT NULL,
  transport  TEXT NOT NULL,
  address    TEXT NOT NULL,
  path       TEXT NOT NULL,
  instance   TEXT,
  call_id    TEXT NOT NULL,
  sequence   INTEGER NOT NULL,
  q          INTEGER NOT NULL,
  user_agent TEXT NOT NULL,
  until      INTEGER NOT NULL,
  PRIMARY KEY (extension, contact)
) STRICT, WITHOUT ROWID;
