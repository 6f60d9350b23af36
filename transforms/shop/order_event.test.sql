-- setup
INSERT INTO shop.customers (id, full_name, points, created_at) VALUES (7, 'Ada Lovelace', 10, '2026-01-02 03:04:05+00');

-- transaction: state and event of one transaction come together
INSERT INTO shop.orders (id, customer_id, status, total, currency, placed_at)
VALUES (1, 7, 'placed', 12.5, 'EUR', '2026-01-02 03:04:05+00');
INSERT INTO shop.order_events (id, order_id, event, detail, created_at)
VALUES ('b0000000-0000-4000-8000-000000000001', 1, 'placed', '{"total": 12.50}', '2026-01-02 03:04:05+00');
-- expect shop/order {"order_id":1} => {"status": "PLACED", "total": "12.50", ...}
-- expect shop/order_event {"order_id":1} => {
--   "order_id": 1,
--   "event": "placed",
--   "total": "12.50",
--   "reason": null,
--   "happened_at": "2026-01-02T03:04:05.000000Z"
-- }

-- transaction: one order may have many, in the order in which they were written; what is deleted at once was one too
INSERT INTO shop.order_events (id, order_id, event, detail, created_at) VALUES
  ('b0000000-0000-4000-8000-000000000002', 1, 'paid', '{"total": 12.50}', '2026-01-02 03:04:06+00'),
  ('b0000000-0000-4000-8000-000000000003', 1, 'cancelled', '{"reason": "out of stock"}', '2026-01-02 03:04:06+00');
DELETE FROM shop.order_events WHERE event = 'paid';
-- expect shop/order_event {"order_id":1} => {"event": "paid", "total": "12.50", ...}
-- expect shop/order_event {"order_id":1} => {"event": "cancelled", "total": null, "reason": "out of stock", ...}

-- transaction: what happened has happened
UPDATE shop.order_events SET detail = '{}';
DELETE FROM shop.order_events;
-- expect nothing

-- transaction: an event that its contract does not know stops the bridge
INSERT INTO shop.order_events (id, order_id, event, detail, created_at)
VALUES ('b0000000-0000-4000-8000-000000000004', 1, 'lost', '{}', '2026-01-02 03:04:07+00');
-- error: PGS2104 event
