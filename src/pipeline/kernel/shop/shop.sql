-- Baskets, and what an order does to the stock.
CREATE TABLE basket (
    visitor TEXT NOT NULL,
    product_id INTEGER NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    quantity INTEGER NOT NULL,
    changed_at TEXT NOT NULL DEFAULT (datetime('now')),
    PRIMARY KEY (visitor, product_id),
    CONSTRAINT at_most_99_of_one_product_at_once CHECK (quantity BETWEEN 1 AND 99)
) STRICT;

-- Whose browser an order came from; staff's orders by telephone have none.
CREATE TABLE buyers (
    order_id INTEGER PRIMARY KEY REFERENCES orders (id) ON DELETE CASCADE,
    visitor TEXT NOT NULL
) STRICT;

CREATE INDEX buyers_visitor ON buyers (visitor, order_id);

CREATE TRIGGER products_never_below_nothing BEFORE UPDATE OF stock ON products WHEN NEW.stock < 0
BEGIN
    SELECT RAISE(ABORT, 'Somebody was faster: there is not enough in stock any more');
END;

CREATE TRIGGER orders_given_back AFTER UPDATE OF status ON orders WHEN NEW.status = 'cancelled' AND OLD.status <> 'cancelled'
BEGIN
    UPDATE products SET stock = stock + (SELECT sum(l.quantity) FROM order_lines l WHERE l.order_id = NEW.id AND l.product_id = products.id)
    WHERE id IN (SELECT product_id FROM order_lines WHERE order_id = NEW.id);
END;
