-- What this box counts of itself, by the hour (UTC): sums that the daemon brings, of nobody by name.
CREATE TABLE box_hours (
    hour TEXT NOT NULL,
    series TEXT NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    CONSTRAINT hour_is_none CHECK (hour IS strftime('%Y-%m-%d %H:00', hour)),
    CONSTRAINT value_is_negative CHECK (value >= 0),
    PRIMARY KEY (hour, series, name)
) STRICT, WITHOUT ROWID;

-- Two years are kept.
CREATE TRIGGER box_hours_kept AFTER INSERT ON box_hours
BEGIN
    DELETE FROM box_hours WHERE hour < date('now', '-731 days');
END;
