-- The types of the given tables' columns, and every type that these are made of: bases of domains, elements of arrays,
-- fields of composites.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f types.sql
-- Only the type that is its element's `typarray` is an array with the array text form (`int2vector` is not), and only
-- one whose elements stand apart by a comma is read as one (box[] has semicolons).
WITH RECURSIVE used (oid) AS (
  SELECT atttypid FROM pg_attribute WHERE attrelid = ANY (:'tables'::oid[]) AND attnum > 0 AND NOT attisdropped
  UNION
  SELECT part.oid
  FROM used
  JOIN pg_type AS t ON t.oid = used.oid
  CROSS JOIN LATERAL (
    SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
    UNION ALL SELECT t.typelem WHERE t.typelem <> 0
    UNION ALL SELECT a.atttypid FROM pg_attribute AS a
              WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS part
)
SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typtype AS kind,
       t.typbasetype AS base, t.typtypmod AS base_typmod, t.typnotnull AS not_null,
       ( SELECT e.oid FROM pg_type AS e WHERE e.oid = t.typelem AND e.typarray = t.oid AND t.typdelim = ',' ) AS element,
       ( SELECT x.extname FROM pg_depend AS d JOIN pg_extension AS x ON x.oid = d.refobjid
         WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
           AND d.refclassid = 'pg_extension'::regclass ) AS extension,
       ( SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid ) AS labels,
       ( SELECT json_agg(json_build_array(a.attname, a.atttypid::bigint, a.atttypmod,
                  CASE WHEN a.attcollation IN (0, 'pg_catalog."default"'::regcollation) OR a.atttypid = 'name'::regtype
                       THEN NULL ELSE co.collname END, con.nspname) ORDER BY a.attnum)
         FROM pg_attribute AS a
         LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
         LEFT JOIN pg_namespace AS con ON con.oid = co.collnamespace
         WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ) AS fields
FROM used
JOIN pg_type AS t ON t.oid = used.oid
JOIN pg_namespace AS n ON n.oid = t.typnamespace
ORDER BY t.oid
