-- Foreign keys to the given tables: which table refers to which, by what columns, in the key's order.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f foreign_keys.sql
SELECT c.confrelid AS table_oid, n.nspname AS schema, t.relname AS name,
       ( SELECT json_agg(a.attname ORDER BY k.place)
         FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
         JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ) AS columns,
       ( SELECT json_agg(a.attname ORDER BY k.place)
         FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, place)
         JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum ) AS referenced
FROM pg_constraint AS c
JOIN pg_class AS t ON t.oid = c.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
-- A partition's key is its table's.
WHERE c.contype = 'f' AND c.confrelid = ANY (:'tables'::oid[]) AND c.conparentid = 0 AND NOT t.relispartition
ORDER BY n.nspname, t.relname, c.conname
