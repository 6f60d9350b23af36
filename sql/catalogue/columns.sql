-- Columns of the given tables, in attnum order, without dropped ones.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f columns.sql
-- `collation` is NULL for the database's own, and for `name`, whose comparison is always by bytes.
SELECT a.attrelid AS table_oid, a.attnum, a.attname AS name, a.atttypid AS type_oid, a.atttypmod AS typmod,
       a.attnotnull AS not_null, a.attgenerated <> '' AS generated,
       CASE WHEN a.attcollation IN (0, 'pg_catalog."default"'::regcollation) OR a.atttypid = 'name'::regtype THEN NULL
            ELSE co.collname END AS collation,
       con.nspname AS collation_schema,
       col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute AS a
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
LEFT JOIN pg_namespace AS con ON con.oid = co.collnamespace
WHERE a.attrelid = ANY (:'tables'::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
