-- Headers for all records that a transaction leads to: who did it, for which request.
--
--   psql -d shop -v ON_ERROR_STOP=1 -f annotate.sql
--
--   BEGIN;
--   SELECT pgspine.annotate('{"user": "ann", "request_id": "7f3a"}');
--   INSERT INTO outbox …;
--   COMMIT;
--
-- The message is transactional: a ROLLBACK, also to a savepoint, takes it back. It costs one WAL record and no table.
-- Names are up to 64 of A-Z a-z 0-9 . _ - and do not begin with pgspine; values are strings, numbers and booleans. A
-- transaction may have 16 of them, 1 KiB together; a later message replaces members of an earlier one. What does not fit
-- raises an error here, where the application can see it, instead of being refused by the bridge (PGS8018).

BEGIN;

CREATE SCHEMA IF NOT EXISTS pgspine;

CREATE OR REPLACE FUNCTION pgspine.annotate(annotations jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT AS $$
DECLARE
  name  text;
  value jsonb;
  count integer := 0;
  size  integer := 0;
BEGIN
  IF jsonb_typeof(annotations) <> 'object' THEN
    RAISE EXCEPTION 'annotations are a JSON object, not %', jsonb_typeof(annotations) USING ERRCODE = '22023';
  END IF;
  FOR name, value IN SELECT e.key, e.value FROM jsonb_each(annotations) AS e LOOP
    IF name !~ '^[A-Za-z0-9._-]{1,64}$' OR lower(name) LIKE 'pgspine%' THEN
      RAISE EXCEPTION 'annotation "%" has a name that no header may have', name USING ERRCODE = '22023';
    END IF;
    IF jsonb_typeof(value) NOT IN ('string', 'number', 'boolean') THEN
      RAISE EXCEPTION 'annotation "%" is no string, number or boolean', name USING ERRCODE = '22023';
    END IF;
    count := count + 1;
    size := size + octet_length(name) + octet_length(value #>> '{}');
  END LOOP;
  IF count > 16 OR size > 1024 THEN
    RAISE EXCEPTION 'annotations are 16 at most, and 1 KiB together' USING ERRCODE = '22023';
  END IF;
  -- As strings, so that numbers stay as they are written.
  PERFORM pg_logical_emit_message(true, 'pgspine.annotate',
    (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each_text(annotations) AS e)::text);
END
$$;

COMMENT ON FUNCTION pgspine.annotate(jsonb) IS
  'Headers on all Kafka records of this transaction: pgspine.annotate(''{"user": "ann"}'')';

-- Whoever may write may annotate; take it from PUBLIC where that is too many.
GRANT USAGE ON SCHEMA pgspine TO PUBLIC;

COMMIT;
