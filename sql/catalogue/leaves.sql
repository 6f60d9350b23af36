-- Leaf partitions of the given tables, transitively.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f leaves.sql
SELECT r.oid AS table_oid, c.oid, n.nspname AS schema, c.relname AS name, c.relreplident AS identity,
       ( SELECT ic.relname FROM pg_index AS i JOIN pg_class AS ic ON ic.oid = i.indexrelid
         WHERE i.indrelid = c.oid AND i.indisreplident ) AS identity_index
FROM pg_class AS r
CROSS JOIN LATERAL pg_partition_tree(r.oid) AS p
JOIN pg_class AS c ON c.oid = p.relid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE r.oid = ANY (:'tables'::oid[]) AND r.relkind = 'p' AND p.isleaf AND c.relkind <> 'p'
ORDER BY r.oid, n.nspname, c.relname
