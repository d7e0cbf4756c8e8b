-- Besides the call that tells how a build ended, a build has one at most for each question that it waits for. `question` is the
-- question's name within the build; empty: the call is about the build's end.
CREATE TABLE return_calls_next (
  row             INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  build_id        TEXT NOT NULL,
  question        TEXT NOT NULL DEFAULT '',
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
  updated         INTEGER NOT NULL,
  UNIQUE (build_id, question)
) STRICT;
INSERT INTO return_calls_next(row, id, build_id, conversation_id, agent, caller, target, consent, state, tries, due, on_call, call_id,
                              failure, requested, updated)
  SELECT row, id, build_id, conversation_id, agent, caller, target, consent, state, tries, due, on_call, call_id,
         failure, requested, updated FROM return_calls ORDER BY row;
DROP TABLE return_calls;
ALTER TABLE return_calls_next RENAME TO return_calls;
CREATE INDEX return_calls_waiting ON return_calls(due) WHERE state = 'waiting';
CREATE INDEX return_calls_caller ON return_calls(caller, agent);
