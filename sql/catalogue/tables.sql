-- The wanted tables that exist, one row each, in the order asked.
--   wanted       [[schema or null, table], …]
--   search_path  [schema, …]: where a table without a schema is looked up, in order
-- psql -v wanted='[["shop","orders"],[null,"t"]]' -v search_path='["public"]' -f tables.sql
-- A replica identity index that was dropped leaves `relreplident = 'i'` without an index: `identity_index` is NULL
-- then, and PostgreSQL behaves as with NOTHING.
SELECT DISTINCT ON (w.place, c.oid)
       c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relreplident AS identity,
       ( SELECT ic.relname FROM pg_index AS i JOIN pg_class AS ic ON ic.oid = i.indexrelid
         WHERE i.indrelid = c.oid AND i.indisreplident ) AS identity_index,
       CASE WHEN c.relkind IN ('r', 'p') THEN row_security_active(c.oid) ELSE false END AS row_security,
       obj_description(c.oid, 'pg_class') AS comment
FROM ( SELECT ordinality AS place, value ->> 0 AS schema, value ->> 1 AS name
       FROM jsonb_array_elements(:'wanted'::jsonb) WITH ORDINALITY ) AS w
JOIN pg_class AS c ON c.relname = w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = coalesce(w.schema,
        ( SELECT p.value
          FROM jsonb_array_elements_text(:'search_path'::jsonb) WITH ORDINALITY AS p (value, place)
          JOIN pg_namespace AS pn ON pn.nspname = p.value
          JOIN pg_class AS pc ON pc.relnamespace = pn.oid AND pc.relname = w.name
                             AND pc.relkind IN ('r', 'p', 'v', 'm', 'f')
          ORDER BY p.place LIMIT 1 ))
ORDER BY w.place, c.oid
