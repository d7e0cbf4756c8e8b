-- enquire: A visitor writes to us.
INSERT INTO enquiries (name, email, phone, message, status) VALUES (:name, :email, :phone, :message, 'new')
RETURNING id, name, email
-- new_enquiries: What nobody has looked at.
SELECT id, name, message, created_at FROM enquiries WHERE status = 'new' ORDER BY id DESC LIMIT 6
