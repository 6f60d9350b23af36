-- What the publication sends: of a partitioned table its leaves, and all that comes with a schema or with ALL TABLES.
-- `columns` is NULL before PostgreSQL 15, where every column is sent.
-- psql -v name=pgspine_shop -f publication_effect.sql
SELECT c.oid, t.schemaname AS schema, t.tablename AS name, to_jsonb(t) -> 'attnames' AS columns,
       to_jsonb(t) ->> 'rowfilter' IS NOT NULL AS filtered,
       ( SELECT json_agg(a.relid::oid::bigint) FROM pg_partition_ancestors(c.oid) AS a WHERE a.relid <> c.oid ) AS above
FROM pg_publication_tables AS t
JOIN pg_namespace AS n ON n.nspname = t.schemaname
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE t.pubname = :'name'
ORDER BY t.schemaname, t.tablename
