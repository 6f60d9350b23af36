-- The given tables as the stream sees them: an ordinary table is itself, a partitioned one its leaves. The root of a
-- partitioned table comes too, for its owner. `identity_columns` is NULL when no usable index identifies a row.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f publication_relations.sql
SELECT w.oid AS root, c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
       c.relpersistence AS persistence, c.relreplident AS identity, pg_has_role(c.relowner, 'USAGE') AS owned,
       ( SELECT json_agg(a.attname ORDER BY a.attnum)
         FROM pg_index AS i
         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
         WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
           AND i.indexprs IS NULL
           AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
           AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) ) AS identity_columns
FROM unnest(:'tables'::oid[]) AS w (oid)
CROSS JOIN LATERAL ( SELECT w.oid AS relid, NULL::bool AS leaf
                     UNION ALL SELECT p.relid, p.isleaf FROM pg_partition_tree(w.oid) AS p WHERE p.relid <> w.oid ) AS part
JOIN pg_class AS c ON c.oid = part.relid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE part.leaf IS NOT false
ORDER BY w.oid, n.nspname, c.relname
