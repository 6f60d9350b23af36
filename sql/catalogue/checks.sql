-- CHECK constraints of the given tables. Those that call functions or operators of the user's own are left out: they
-- prove nothing to us, and a snapshot of the schema could not hold them.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f checks.sql
-- Names outside pg_catalog are printed with their schema whatever the session's search_path is.
SELECT set_config('search_path', '', true);
SELECT c.conrelid AS table_oid, c.conname AS name, pg_get_constraintdef(c.oid) AS definition
FROM pg_constraint AS c
WHERE c.contype = 'c' AND c.conrelid = ANY (:'tables'::oid[])
  AND NOT EXISTS ( SELECT FROM pg_depend AS d
                   WHERE d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
                     AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) )
ORDER BY c.conrelid, c.conname
