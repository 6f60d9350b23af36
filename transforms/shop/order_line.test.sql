-- setup
INSERT INTO shop.order_lines (order_id, line_no, product_id, qty, unit_price) VALUES (1, 1, 10, 2, 9.95);

-- transaction: a second line
INSERT INTO shop.order_lines (order_id, line_no, product_id, qty, unit_price) VALUES (1, 2, 11, 3, 0.50);
-- expect shop/order_line {"order_id":1,"line_no":2} => {
--   "order_id": 1,
--   "line_no": 2,
--   "product_id": 11,
--   "product": null,
--   "qty": 3,
--   "unit_price": "0.50",
--   "amount": "1.50"
-- }

-- transaction: lines change places
UPDATE shop.order_lines SET line_no = line_no + 10;
UPDATE shop.order_lines SET line_no = 13 - line_no;
-- expect shop/order_line {"order_id":1,"line_no":1} => {"product_id": 11, "amount": "1.50", ...}
-- expect shop/order_line {"order_id":1,"line_no":2} => {"product_id": 10, "amount": "19.90", ...}

-- transaction: a line moves to another order
UPDATE shop.order_lines SET order_id = 2 WHERE product_id = 10;
-- expect shop/order_line {"order_id":1,"line_no":2} => null
-- expect shop/order_line {"order_id":2,"line_no":2} => {"product_id": 10, ...}

-- transaction: nothing is ordered zero times
INSERT INTO shop.order_lines (order_id, line_no, product_id, qty, unit_price) VALUES (2, 3, 11, 0, 0.50);
-- error: 23514 order_lines_qty_check

-- transaction: a product gets its name
INSERT INTO shop.products (id, sku, title, category, price, tags, attributes, discontinued)
VALUES (11, '6f2a7a2e-0f57-4c9d-8a0b-0d4f4f0a1b2c', 'Hammer', 'tools', 0.60, '{}', '{}', false);
-- expect shop/product {"product_id":11} => {"title": "Hammer", ...}
-- expect shop/order_line {"order_id":1,"line_no":1} => {"product": "Hammer", ...}
