-- Cause of ITU-T Q.850, final SIP response, trunk, and what else is known of a call (JSON).
ALTER TABLE calls ADD COLUMN cause    INTEGER;
ALTER TABLE calls ADD COLUMN sip_code INTEGER;
ALTER TABLE calls ADD COLUMN trunk    TEXT;
ALTER TABLE calls ADD COLUMN details  TEXT;
CREATE TABLE messages (
  row     INTEGER PRIMARY KEY AUTOINCREMENT,
  call_id TEXT NOT NULL UNIQUE,
  caller  TEXT NOT NULL,
  callee  TEXT NOT NULL,
  text    TEXT NOT NULL,
  seconds INTEGER NOT NULL,
  time    INTEGER NOT NULL
) STRICT;
