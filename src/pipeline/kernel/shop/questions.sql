-- goods: What is for sale, by category or by words.
SELECT id, title, slug, category, summary, price_cents, stock FROM products
WHERE status = 'published' AND (:category IS NULL OR category = :category)
    AND (:q IS NULL OR instr(lower(title || ' ' || category || ' ' || summary || ' ' || description), lower(:q)) > 0)
ORDER BY title, id LIMIT 200
-- newest: What came last.
SELECT id, title, slug, category, summary, price_cents, stock FROM products
WHERE status = 'published' ORDER BY id DESC LIMIT 6
-- categories: What there is something of.
SELECT category, count(*) AS n FROM products WHERE status = 'published' AND category <> ''
GROUP BY category ORDER BY category LIMIT 50
-- product: One product.
SELECT id, title, slug, category, summary, description, price_cents, stock FROM products
WHERE slug = :slug AND status = 'published'
-- basket_add: Into the basket.
INSERT INTO basket (visitor, product_id, quantity)
SELECT :visitor, id, max(:quantity, 1) FROM products WHERE id = :product_id AND status = 'published' AND :visitor IS NOT NULL
ON CONFLICT DO UPDATE SET quantity = basket.quantity + excluded.quantity
RETURNING product_id
-- basket_change: More or fewer of it, or none.
DELETE FROM basket WHERE visitor = :visitor AND product_id = :product_id AND :quantity = 0;
UPDATE basket SET quantity = :quantity WHERE visitor = :visitor AND product_id = :product_id AND :quantity > 0;
SELECT 1 AS done
-- basket: What is in it, at today's prices.
SELECT p.id, p.title, p.slug, b.quantity, p.price_cents, b.quantity * p.price_cents AS line_cents, b.quantity > p.stock AS short
FROM basket b JOIN products p ON p.id = b.product_id AND p.status = 'published'
WHERE b.visitor = :visitor ORDER BY p.title, p.id
-- basket_sum: How many things for how much.
SELECT coalesce(sum(b.quantity), 0) AS n, coalesce(sum(b.quantity * p.price_cents), 0) AS total_cents
FROM basket b JOIN products p ON p.id = b.product_id AND p.status = 'published' WHERE b.visitor = :visitor
-- checkout: One order out of the basket; a form that is sent twice finds the basket empty and shows the same order, `_made` 0.
DELETE FROM basket WHERE product_id NOT IN (SELECT id FROM products WHERE status = 'published') AND visitor = :visitor;
INSERT INTO orders (reference, name, email, phone, address, total_cents, payment, status)
SELECT lower(hex(randomblob(16))), :name, :email, :phone, :address, sum(b.quantity * p.price_cents), 'unpaid', 'new'
FROM basket b JOIN products p ON p.id = b.product_id AND p.status = 'published'
WHERE b.visitor = :visitor HAVING count(*) > 0;
INSERT INTO buyers (order_id, visitor)
SELECT (SELECT max(id) FROM orders), :visitor
WHERE EXISTS (SELECT 1 FROM basket b JOIN products p ON p.id = b.product_id AND p.status = 'published' WHERE b.visitor = :visitor);
INSERT INTO order_lines (title, order_id, product_id, quantity, price_cents)
SELECT p.title, (SELECT max(order_id) FROM buyers WHERE visitor = :visitor), p.id, b.quantity, p.price_cents
FROM basket b JOIN products p ON p.id = b.product_id AND p.status = 'published' WHERE b.visitor = :visitor;
UPDATE products SET stock = stock - (SELECT quantity FROM basket b WHERE b.visitor = :visitor AND b.product_id = products.id)
WHERE status = 'published' AND id IN (SELECT product_id FROM basket WHERE visitor = :visitor);
DELETE FROM basket WHERE visitor = :visitor;
SELECT o.id, o.reference, o.name, o.total_cents, changes() AS _made FROM orders o JOIN buyers ON buyers.order_id = o.id
WHERE buyers.visitor = :visitor ORDER BY o.id DESC LIMIT 1
-- unpaid_order: What is to be paid.
SELECT id, reference, name, total_cents, payment FROM orders WHERE reference = :slug AND payment <> 'paid' AND status <> 'cancelled'
-- payment_event: What the test gateway tells the shop.
SELECT reference, :payment AS payment, total_cents FROM orders
WHERE reference = :slug AND payment <> 'paid' AND status <> 'cancelled' AND :payment <> 'unpaid'
-- payment_apply: A signed message says how a payment went.
UPDATE orders SET payment = :payment, status = CASE WHEN :payment = 'paid' AND status = 'new' THEN 'paid' ELSE status END
WHERE reference = :reference AND reference <> '' AND total_cents = :total_cents AND payment <> 'paid' AND payment <> :payment
RETURNING id, reference, payment, total_cents
-- public_order: What a customer sees of an order.
SELECT id, reference, name, email, address, total_cents, payment, status, created_at FROM orders WHERE reference = :slug
-- public_lines: What was ordered.
SELECT l.title, l.quantity, l.price_cents, l.quantity * l.price_cents AS line_cents
FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE o.reference = :slug ORDER BY l.id
-- open_orders: What waits.
SELECT id, name, total_cents, payment, status, created_at FROM orders WHERE closed_at IS NULL ORDER BY id DESC LIMIT 8
-- low_stock: What runs out.
SELECT id, title, stock FROM products WHERE status = 'published' AND stock < 5 ORDER BY stock, title LIMIT 8
-- sales: Paid sales a day for 30 days.
WITH RECURSIVE days (day, left) AS (
    SELECT date('now', '-29 days'), 29 UNION ALL SELECT date(day, '+1 day'), left - 1 FROM days WHERE left > 0
)
SELECT days.day AS label, coalesce(sum(o.total_cents), 0) AS value
FROM days LEFT JOIN orders o ON date(o.created_at) = days.day AND o.payment = 'paid' AND o.status <> 'cancelled'
GROUP BY days.day ORDER BY days.day
-- best_sellers: What sells best.
SELECT l.title AS label, sum(l.quantity) AS value FROM order_lines l JOIN orders o ON o.id = l.order_id AND o.status <> 'cancelled'
GROUP BY l.product_id ORDER BY sum(l.quantity) DESC, l.title LIMIT 8
-- report: What is said on the telephone.
SELECT
    (SELECT count(*) FROM orders WHERE status <> 'cancelled') AS orders,
    (SELECT count(*) FROM orders WHERE status <> 'cancelled' AND date(created_at) = date('now')) AS orders_today,
    (SELECT count(*) FROM orders WHERE closed_at IS NULL) AS orders_open,
    (SELECT coalesce(sum(total_cents), 0) FROM orders WHERE payment = 'paid' AND status <> 'cancelled') AS sales_cents,
    (SELECT coalesce(sum(total_cents), 0) FROM orders WHERE payment = 'paid' AND status <> 'cancelled' AND date(created_at) = date('now')) AS sales_today_cents,
    (SELECT count(*) FROM products WHERE status = 'published') AS products,
    (SELECT count(*) FROM products WHERE status = 'published' AND stock < 5) AS stock_low
