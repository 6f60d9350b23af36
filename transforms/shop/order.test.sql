-- setup
INSERT INTO shop.customers (id, full_name, points, created_at) VALUES (7, 'Ada Lovelace', 10, '2026-01-02 03:04:05+00');

-- transaction: a draft is nobody's business
INSERT INTO shop.orders (id, customer_id, status, total, currency, placed_at)
VALUES (1, 7, 'draft', 99.99, 'EUR', '2026-01-02 03:04:05+00');
-- expect nothing

-- transaction: it is placed, with somewhere to go
UPDATE shop.orders SET status = 'placed', ship_city = 'Porto', ship_country = 'pt' WHERE id = 1;
-- expect shop/order {"order_id":1} => {
--   "order_id": 1,
--   "status": "PLACED",
--   "total": "99.99",
--   "currency": "EUR",
--   "note": "",
--   "customer": {"customer_id": 7, "name": "Ada Lovelace"},
--   "shipping": {"city": "Porto", "country": "PT"},
--   "lines": [],
--   "placed_at": "2026-01-02T03:04:05.000000Z",
--   "free_shipping": false
-- }

-- transaction: what is for us alone stays with us
UPDATE shop.orders SET internal = '{"margin": 0.3}' WHERE id = 1;
-- expect nothing

-- transaction: two changes in one transaction are one record
UPDATE shop.orders SET total = total + 0.01 WHERE id = 1;
UPDATE shop.orders SET note = '  ring twice ' WHERE id = 1;
-- expect shop/order {"order_id":1} => {"total": "100.00", "free_shipping": true, "note": "ring twice", ...}

-- transaction: no order has a status of its own making
UPDATE shop.orders SET status = 'lost' WHERE id = 1;
-- error: 23514 orders_status_check

-- transaction: one order goes, another comes in its place
DELETE FROM shop.orders WHERE id = 1;
INSERT INTO shop.orders (id, customer_id, status, total, currency, placed_at)
VALUES (2, 7, 'paid', 5, 'EUR', '2026-01-02 03:04:05+00');
-- expect shop/order {"order_id":1} => null
-- expect shop/order {"order_id":2} => {"status": "PAID", "total": "5.00", ...}

-- transaction: everything is taken back
TRUNCATE shop.orders;
-- expect shop/order {"order_id":2} => null
