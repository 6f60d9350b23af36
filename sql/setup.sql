-- What a DBA runs once for a bridge, as somebody who may create roles and owns the tables. `pgspine setup --sql` prints
-- the same for the tables and columns of your transforms; this is the general form.
--
--   psql -d shop -v role=pgspine -v publication=pgspine_shop -v schema=shop -v tables='shop.orders, shop.customers' \
--        -f sql/setup.sql
--
-- The password is set by hand afterwards (\password pgspine), so that it stands in no file and no log.
\set ON_ERROR_STOP on
BEGIN;

CREATE ROLE :"role" LOGIN REPLICATION;
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON :tables TO :"role";

-- Named tables, never FOR ALL TABLES: PostgreSQL refuses UPDATE and DELETE on a published table that has neither a
-- primary key nor another replica identity, so each table is looked at first.
DO $$
BEGIN
  IF current_setting('wal_level') <> 'logical' THEN
    RAISE WARNING 'wal_level is %, not logical: ALTER SYSTEM SET wal_level = ''logical'', then restart', current_setting('wal_level');
  END IF;
END $$;
CREATE PUBLICATION :"publication" FOR TABLE :tables;

DO $$
DECLARE
  bad text;
BEGIN
  SELECT string_agg(format('%I.%I', p.schemaname, p.tablename), ', ') INTO bad
  FROM pg_publication_tables AS p
  JOIN pg_class AS c ON c.oid = format('%I.%I', p.schemaname, p.tablename)::regclass
  WHERE c.relreplident = 'n'
     OR (c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary));
  IF bad IS NOT NULL THEN
    RAISE EXCEPTION 'no replica identity: %: their UPDATEs and DELETEs would fail', bad
      USING HINT = 'ALTER TABLE … REPLICA IDENTITY FULL, or add a primary key; then run this again';
  END IF;
END $$;

COMMIT;
