-- Cause of ITU-T Q.850, final SIP response, trunk, and what else is known of a call (JSON).
ALTER TABLE calls ADD COLUMN cause    INTEGER;
ALTER TABLE calls ADD COLUMN sip_code INTEGER;
ALTER TABLE calls ADD COLUMN trunk    TEXT;
ALTER TABLE calls ADD COLUMN details  TEXT;
