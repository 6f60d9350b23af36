-- What must not change unseen, one row for each wanted table (the publication's columns are the same in all), NULLs where it does not exist.
--   publication  its name
--   tables       [[schema, table, [used column, …]], …]
-- psql -v publication=pgspine_shop -v tables='[["shop","orders",["id"]]]' -f watch.sql
WITH RECURSIVE wanted AS (
  SELECT w.ordinality AS place, w.value ->> 0 AS schema, w.value ->> 1 AS name, w.value -> 2 AS columns, c.oid,
         c.relkind, c.relreplident
  FROM jsonb_array_elements(:'tables'::jsonb) WITH ORDINALITY AS w
  LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace)
    ON n.nspname = w.value ->> 0 AND c.relname = w.value ->> 1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), used AS (
  SELECT w.place, a.attname, a.attnum, a.atttypid, a.atttypmod
  FROM wanted AS w
  JOIN pg_attribute AS a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped AND w.columns ? a.attname::text
), types (place, oid) AS (
  SELECT place, atttypid FROM used
  UNION
  SELECT types.place, part.oid
  FROM types
  JOIN pg_type AS t ON t.oid = types.oid
  CROSS JOIN LATERAL (
    SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
    UNION ALL SELECT t.typelem WHERE t.typelem <> 0
    UNION ALL SELECT a.atttypid FROM pg_attribute AS a
              WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS part
)
SELECT p.oid AS publication, p.puballtables AS all_tables, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AS whole,
       p.pubinsert AS insert, p.pubviaroot AS via_root,
       w.schema, w.name, w.oid, w.relkind AS kind, w.relreplident AS identity,
       ( SELECT json_agg(i.indexrelid::bigint ORDER BY i.indexrelid) FROM pg_index AS i
         WHERE i.indrelid = w.oid AND i.indisvalid AND i.indimmediate AND i.indisunique
           AND CASE w.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
       ) AS identity_index,
       r.oid AS member,
       ( SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute AS a
         WHERE a.attrelid = w.oid AND to_jsonb(r) -> 'prattrs' @> to_jsonb(a.attnum) ) AS list,
       to_jsonb(r) ->> 'prqual' AS filter,
       CASE WHEN p.oid IS NULL THEN false
            WHEN w.relkind = 'p'
            THEN NOT EXISTS ( SELECT FROM pg_partition_tree(w.oid) AS l
                              JOIN pg_class AS lc ON lc.oid = l.relid
                              JOIN pg_namespace AS ln ON ln.oid = lc.relnamespace
                              WHERE l.isleaf AND l.relid <> w.oid AND NOT p.pubviaroot
                                AND NOT EXISTS ( SELECT FROM pg_publication_tables AS t
                                                 WHERE t.pubname = p.pubname AND t.schemaname = ln.nspname
                                                   AND t.tablename = lc.relname ) )
            ELSE EXISTS ( SELECT FROM pg_publication_tables AS t
                          WHERE t.pubname = p.pubname AND t.schemaname = w.schema AND t.tablename = w.name )
       END AS published,
       ( SELECT json_agg(json_build_array(c.oid::bigint, n.nspname, c.relname, c.relreplident) ORDER BY c.oid)
         FROM pg_partition_tree(w.oid) AS l
         JOIN pg_class AS c ON c.oid = l.relid
         JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE w.relkind = 'p' AND l.isleaf AND l.relid <> w.oid ) AS leaves,
       ( SELECT json_agg(json_build_array(u.attname, u.attnum, u.atttypid::bigint, u.atttypmod) ORDER BY u.attnum)
         FROM used AS u WHERE u.place = w.place ) AS columns,
       ( SELECT json_agg(json_build_array(e.oid::bigint, format_type(e.enumtypid, NULL), e.enumlabel) ORDER BY e.oid)
         FROM types AS t JOIN pg_enum AS e ON e.enumtypid = t.oid WHERE t.place = w.place ) AS labels
FROM wanted AS w
LEFT JOIN pg_publication AS p ON p.pubname = :'publication'
LEFT JOIN pg_publication_rel AS r ON r.prpubid = p.oid AND r.prrelid = w.oid
ORDER BY w.place
