INSERT INTO shop_order VALUES (1, 'new', 3, 1.50, 'x'), (2, 'new', NULL, NULL, 'y')
UPDATE shop_order SET status = 'paid' WHERE id = 1
UPDATE shop_order SET internal = 'unseen'
UPDATE shop_order SET status = 'NEW' WHERE id = 2
BEGIN; UPDATE shop_order SET price = 1.5000 WHERE id = 1; UPDATE shop_order SET id = 3 WHERE id = 2; INSERT INTO shop_order VALUES (4, 'brief', 1, 1, NULL); DELETE FROM shop_order WHERE id = 4; COMMIT
DELETE FROM shop_order WHERE id = 1
