-- What decides which operations on text are exact. `datlocprovider` exists from PostgreSQL 15 and its locale has had
-- two names since (`daticulocale` 15–16, `datlocale` 17+), hence the way through jsonb: one query for all versions.
-- For ICU and the builtin provider that locale is what decides, and not the libc names beside it.
SELECT current_setting('server_version_num') AS version_num,
       pg_encoding_to_char(d.encoding) AS encoding,
       CASE WHEN l.provider = 'c' THEN d.datcollate ELSE coalesce(l.locale, d.datcollate) END AS collate,
       CASE WHEN l.provider = 'c' THEN d.datctype ELSE coalesce(l.locale, d.datctype) END AS ctype,
       l.provider
FROM pg_database AS d
CROSS JOIN LATERAL (
  SELECT coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
         coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale
) AS l
WHERE d.datname = current_database()
