-- Indexes of the given tables; `columns` holds the key columns in index order (not those of INCLUDE), and is empty for
-- an index over expressions.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f indexes.sql
SELECT i.indrelid AS table_oid, ic.relname AS name, i.indisprimary AS primary, i.indisunique AS "unique",
       i.indimmediate AS immediate, i.indisvalid AND i.indisready AND i.indislive AS valid,
       i.indpred IS NOT NULL AS partial,
       CASE WHEN i.indexprs IS NOT NULL THEN '[]'::json
            ELSE ( SELECT json_agg(a.attname ORDER BY k.place)
                   FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                   JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                   WHERE k.place <= i.indnkeyatts ) END AS columns
FROM pg_index AS i
JOIN pg_class AS ic ON ic.oid = i.indexrelid
WHERE i.indrelid = ANY (:'tables'::oid[])
ORDER BY i.indrelid, ic.relname
