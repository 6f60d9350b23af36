-- The tables that the publication names, with their column lists (NULL: all). Lists and row filters exist from
-- PostgreSQL 15 on, hence the way through jsonb.
-- psql -v name=pgspine_shop -f publication_members.sql
SELECT r.oid AS member, c.oid, n.nspname AS schema, c.relname AS name,
       ( SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute AS a
         WHERE a.attrelid = c.oid AND to_jsonb(r) -> 'prattrs' @> to_jsonb(a.attnum) ) AS columns,
       to_jsonb(r) ->> 'prqual' IS NOT NULL AS filtered
FROM pg_publication_rel AS r
JOIN pg_publication AS p ON p.oid = r.prpubid
JOIN pg_class AS c ON c.oid = r.prrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE p.pubname = :'name'
ORDER BY n.nspname, c.relname
