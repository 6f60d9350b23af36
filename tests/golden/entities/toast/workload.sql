INSERT INTO doc SELECT i, i, (SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 120) n) FROM generate_series(1, 2) i
UPDATE doc SET n = 10 WHERE id = 1
UPDATE doc SET id = 20 WHERE id = 2
BEGIN; UPDATE doc SET n = 11 WHERE id = 1; UPDATE doc SET id = 12 WHERE id = 1; UPDATE doc SET n = n WHERE id = 12; COMMIT
UPDATE doc SET body = 'short' WHERE id = 20
DELETE FROM doc WHERE id = 12
