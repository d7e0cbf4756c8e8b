-- Messages of apps to webhooks on their way. `body` is kept until it has arrived; `due` is milliseconds of Unix time.
CREATE TABLE deliveries (
  row     INTEGER PRIMARY KEY AUTOINCREMENT,
  id      TEXT NOT NULL UNIQUE,
  app     TEXT NOT NULL,
  url     TEXT NOT NULL,
  event   TEXT NOT NULL,
  body    TEXT NOT NULL,
  state   TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
  tries   INTEGER NOT NULL DEFAULT 0,
  due     INTEGER NOT NULL,
  queued  INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  status  INTEGER,
  failure TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries(url, row, due) WHERE state = 'waiting';
CREATE INDEX deliveries_state ON deliveries(state, row);
