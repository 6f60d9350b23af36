-- What a database needs for pgspine, as a template. `pgspine setup --sql` prints the same with your own tables.
-- Run it with psql as superuser, or as the tables' owner with the right to create roles:
--
--   psql -d shop -v ON_ERROR_STOP=1 -v role=pgspine -v publication=pgspine_shop -v schema=shop -f setup.sql
--
-- The server needs `wal_level = logical` (restart), two free replication slots and two free walsenders.

BEGIN;

-- The role reads the stream, and the used columns for the first load. It owns nothing and may write nothing.
-- It has no password yet: \password pgspine
CREATE ROLE :"role" LOGIN REPLICATION;
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role') \gexec
GRANT USAGE ON SCHEMA :"schema" TO :"role";

-- For each table that a transform reads: the columns it uses. Row-level security would hide rows: with policies on
-- these tables the role also needs BYPASSRLS.
--   GRANT SELECT (id, status, placed_at) ON shop.orders TO pgspine;

-- Never FOR ALL TABLES: PostgreSQL refuses UPDATE and DELETE on a published table that has no replica identity.
-- It must exist before the slot does. Add the tables that the transforms read:
--   ALTER PUBLICATION pgspine_shop ADD TABLE ONLY shop.orders;
CREATE PUBLICATION :"publication"
  WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = false);
COMMENT ON PUBLICATION :"publication" IS 'read by pgspine; dropping or re-creating it loses changes';

COMMIT;
