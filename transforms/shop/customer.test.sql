-- Customers as other teams see them. The tables are those of schema.sql.

-- setup
INSERT INTO shop.customers (id, full_name, email, points, created_at)
VALUES (1, 'Ada Lovelace', 'Ada@Example.com', 10, '2026-01-02 03:04:05+00');

-- transaction: somebody signs up
INSERT INTO shop.customers (id, full_name, points, created_at)
VALUES (2, 'Grace Hopper', 1000, '2026-02-03 04:05:06.789+00');
-- expect shop/customer {"customer_id":2} => {
--   "customer_id": 2,
--   "name": "Grace Hopper",
--   "email": null,
--   "tier": "gold",
--   "orders": 0,
--   "spent": "0.00",
--   "last_order_at": null,
--   "created_at": "2026-02-03T04:05:06.789000Z"
-- }

-- transaction: points make a tier
UPDATE shop.customers SET points = points + 90;
-- expect shop/customer {"customer_id":1} => {"email": "ada@example.com", "tier": "silver", ...}

-- transaction: what is bought is counted
INSERT INTO shop.orders (id, customer_id, status, total, currency, placed_at)
VALUES (1, 1, 'paid', 20.50, 'EUR', '2026-03-01 10:00:00+00'), (2, 1, 'placed', 9.50, 'EUR', '2026-03-02 10:00:00+00'),
       (3, 1, 'draft', 5, 'EUR', '2026-03-03 10:00:00+00');
-- expect shop/customer {"customer_id":1} => {
--   "orders": 2, "spent": "20.50", "last_order_at": "2026-03-02T10:00:00.000000Z", ...
-- }
-- expect shop/order {"order_id":1} => {"customer": {"customer_id": 1, "name": "Ada Lovelace"}, "lines": [], ...}
-- expect shop/order {"order_id":2} => {"status": "PLACED", ...}

-- transaction: an order is cancelled
UPDATE shop.orders SET status = 'cancelled' WHERE id = 1;
-- expect shop/customer {"customer_id":1} => {"orders": 2, "spent": "0.00", ...}
-- expect shop/order {"order_id":1} => {"status": "CANCELLED", ...}

-- transaction: an account is closed
UPDATE shop.customers SET closed_at = '2026-03-04 05:06:07+00' WHERE id = 1;
-- expect shop/customer {"customer_id":1} => null

-- transaction: what no reader can see is not told
UPDATE shop.customers SET points = 2000 WHERE id = 2;
-- expect nothing
