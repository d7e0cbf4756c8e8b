-- book: A visitor asks for a time.
INSERT INTO bookings (name, email, phone, day, at, people, message, status)
VALUES (:name, :email, :phone, :day, :at, :people, :message, 'requested') RETURNING id, name, day, at
-- next_bookings: What comes next.
SELECT id, name, day, at, status FROM bookings WHERE closed_at IS NULL AND day >= date('now')
ORDER BY day, at, id LIMIT 6
