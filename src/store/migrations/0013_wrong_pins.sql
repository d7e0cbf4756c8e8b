-- Wrong PINs, one row each: who tries them out is locked out across calls and restarts.
CREATE TABLE wrong_pins (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  agent  TEXT NOT NULL,
  caller TEXT NOT NULL,
  tried  INTEGER NOT NULL
) STRICT;
CREATE INDEX wrong_pins_agent ON wrong_pins(agent, tried);
