-- One sound file per call; `file` is relative to the data directory. A row outlives its file, to say that there was one.
CREATE TABLE recordings (
  call_id         TEXT PRIMARY KEY,
  file            TEXT NOT NULL,
  format          TEXT NOT NULL CHECK (format IN ('wav', 'opus')),
  state           TEXT NOT NULL CHECK (state IN ('recording', 'complete', 'stopped', 'recovered', 'deleted')),
  reason          TEXT,
  samples         INTEGER NOT NULL DEFAULT 0,
  octets          INTEGER NOT NULL DEFAULT 0,
  lost_frames     INTEGER NOT NULL DEFAULT 0,
  withheld_frames INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX recordings_open ON recordings(call_id) WHERE state = 'recording';
