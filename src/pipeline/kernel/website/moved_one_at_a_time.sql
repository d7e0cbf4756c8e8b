-- Nor is a time given twice by moving a booking, or by taking a cancelled one back.
CREATE TRIGGER bookings_moved_free BEFORE UPDATE OF day, at, status ON bookings
WHEN NEW.status IN ('requested', 'confirmed')
    AND (OLD.status NOT IN ('requested', 'confirmed') OR OLD.day <> NEW.day OR OLD.at <> NEW.at)
BEGIN
    SELECT RAISE(ABORT, 'That time is taken. Please choose another one')
    WHERE EXISTS (SELECT 1 FROM bookings b
                  WHERE b.id <> NEW.id AND b.day = NEW.day AND b.at = NEW.at AND b.status IN ('requested', 'confirmed'));
END;
