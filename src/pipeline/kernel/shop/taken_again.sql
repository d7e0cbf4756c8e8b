-- An order that was cancelled by mistake takes its things out of the stock again, or stays cancelled.
CREATE TRIGGER orders_taken_again AFTER UPDATE OF status ON orders WHEN OLD.status = 'cancelled' AND NEW.status <> 'cancelled'
BEGIN
    UPDATE products SET stock = stock - (SELECT sum(l.quantity) FROM order_lines l WHERE l.order_id = NEW.id AND l.product_id = products.id)
    WHERE id IN (SELECT product_id FROM order_lines WHERE order_id = NEW.id);
END;
