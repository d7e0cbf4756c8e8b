-- When the daemon last knew that the call was up, so that a call that it left open has an end.
ALTER TABLE calls ADD COLUMN seen INTEGER;
-- What is old is found without looking at what is not.
CREATE INDEX calls_ended ON calls(ended) WHERE ended IS NOT NULL;
CREATE INDEX turns_started ON turns(started);
CREATE INDEX events_type ON events(type, time);
