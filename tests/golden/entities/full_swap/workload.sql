INSERT INTO seating VALUES ('ann', 1, 1), ('bob', 2, 1), ('cat', 3, 1)
UPDATE seating SET seat = CASE seat WHEN 1 THEN 2 ELSE 1 END WHERE seat < 3
UPDATE seating SET seat = seat + 1
UPDATE seating SET since = 2
BEGIN; UPDATE seating SET seat = 9 WHERE guest = 'ann'; UPDATE seating SET seat = 3 WHERE guest = 'ann'; COMMIT
BEGIN; DELETE FROM seating WHERE guest = 'bob'; INSERT INTO seating VALUES ('dan', 2, 5); COMMIT
