-- A time is given once, and never in the past.
CREATE TRIGGER bookings_free BEFORE INSERT ON bookings
WHEN NEW.status IN ('requested', 'confirmed')
BEGIN
    SELECT RAISE(ABORT, 'That time is taken. Please choose another one')
    WHERE EXISTS (SELECT 1 FROM bookings b WHERE b.day = NEW.day AND b.at = NEW.at AND b.status IN ('requested', 'confirmed'));
    SELECT RAISE(ABORT, 'That day is over. Please choose another one') WHERE NEW.day < date('now');
END;
