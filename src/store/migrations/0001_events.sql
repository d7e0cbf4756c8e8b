-- Outbox: every event in the order of its commit. AUTOINCREMENT, since a cursor must never meet a reused number.
CREATE TABLE events (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  id      TEXT NOT NULL UNIQUE,
  type    TEXT NOT NULL,
  time    INTEGER NOT NULL,
  subject TEXT NOT NULL,
  data    TEXT NOT NULL
) STRICT;

-- How far each named consumer has come.
CREATE TABLE cursors (
  consumer TEXT PRIMARY KEY,
  seq      INTEGER NOT NULL
) STRICT;
