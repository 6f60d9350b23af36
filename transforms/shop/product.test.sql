-- transaction: a product with everything that it can have
INSERT INTO shop.products
  (id, sku, title, category, price, weight_kg, tags, attributes, available_from, discontinued)
VALUES
  (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a TALE of two', 'books', 10.00, 0.35, ARRAY['new', 'blue "deep"', NULL],
   '{"size": 5, "colour": "blue"}', '2026-05-06', false);
-- expect shop/product {"product_id":1} => {
--   "product_id": 1,
--   "sku": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
--   "title": "A Tale Of Two",
--   "category": "books",
--   "price": "10.00",
--   "price_with_tax": "11.90",
--   "weight_kg": 0.35,
--   "tags": ["new", "blue \"deep\"", null],
--   "attributes": "{\"size\": 5, \"colour\": \"blue\"}",
--   "available_from": "2026-05-06"
-- }

-- transaction: tax is rounded half up
UPDATE shop.products SET price = 0.50, available_from = NULL, weight_kg = NULL, tags = '{}';
-- expect shop/product {"product_id":1} => {
--   "price": "0.50", "price_with_tax": "0.60", "available_from": null, "weight_kg": null, "tags": [], ...
-- }

-- transaction: what is discontinued is gone
UPDATE shop.products SET discontinued = true;
-- expect shop/product {"product_id":1} => null
