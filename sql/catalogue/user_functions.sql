-- Functions in the schemas of the search path whose name is also one of pg_catalog: a call by that name could mean them.
--   search_path  [schema, …]
-- psql -v search_path='["public"]' -f user_functions.sql
SELECT DISTINCT n.nspname AS schema, p.proname AS name
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN (SELECT jsonb_array_elements_text(:'search_path'::jsonb)) AND n.nspname <> 'pg_catalog'
  AND EXISTS ( SELECT FROM pg_proc AS b WHERE b.proname = p.proname AND b.pronamespace = 'pg_catalog'::regnamespace )
ORDER BY n.nspname, p.proname
