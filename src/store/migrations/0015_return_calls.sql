-- Callers who are called when their build is over; a build has one at most. `due` is milliseconds of Unix time, `on_call` the
-- call on which the caller is, or was last, and would hear it, `call_id` the last one that was placed.
CREATE TABLE return_calls (
  row             INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  build_id        TEXT NOT NULL UNIQUE,
  conversation_id TEXT NOT NULL,
  agent           TEXT NOT NULL,
  caller          TEXT NOT NULL,
  target          TEXT NOT NULL,
  consent         TEXT NOT NULL CHECK (consent IN ('asked', 'configured')),
  state           TEXT NOT NULL
                  CHECK (state IN ('waiting', 'ringing', 'answered', 'told', 'given_up', 'interrupted', 'withdrawn')),
  tries           INTEGER NOT NULL DEFAULT 0,
  due             INTEGER NOT NULL,
  on_call         TEXT,
  call_id         TEXT,
  failure         TEXT,
  requested       INTEGER NOT NULL,
  updated         INTEGER NOT NULL
) STRICT;
CREATE INDEX return_calls_waiting ON return_calls(due) WHERE state = 'waiting';
CREATE INDEX return_calls_caller ON return_calls(caller, agent);
