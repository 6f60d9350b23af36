-- What the server allows us. Walsenders are counted over the whole server, as their limit is.
--   slot    the slot's name
--   tables  {"oid": ["used column", …], …}
-- psql -v slot=pgspine_shop -v tables='{"16384":["id"]}' -f preflight.sql
SELECT current_setting('server_version_num') AS version_num,
       current_setting('wal_level') AS wal_level,
       current_setting('wal_sender_timeout') AS wal_sender_timeout,
       current_setting('max_replication_slots')::int AS max_slots,
       current_setting('max_wal_senders')::int AS max_senders,
       ( SELECT count(*) FROM pg_replication_slots ) AS slots,
       ( SELECT count(*) FROM pg_stat_get_wal_senders() ) AS senders,
       pg_encoding_to_char(d.encoding) AS encoding,
       d.datname AS database, r.rolname AS role,
       r.rolreplication OR r.rolsuper AS may_replicate,
       s.slot_name IS NOT NULL AS slot_exists, s.plugin AS slot_plugin, s.database AS slot_database,
       ( SELECT json_agg(json_build_array(n.nspname, c.relname, u.columns) ORDER BY n.nspname, c.relname)
         FROM ( SELECT t.key::oid AS oid, json_agg(x.name ORDER BY x.name) AS columns
                FROM jsonb_each(:'tables'::jsonb) AS t
                CROSS JOIN LATERAL jsonb_array_elements_text(t.value) AS x (name)
                JOIN pg_class AS k ON k.oid = t.key::oid
                JOIN pg_attribute AS a ON a.attrelid = k.oid AND a.attname = x.name AND NOT a.attisdropped
                WHERE NOT (has_column_privilege(k.oid, a.attnum, 'SELECT')
                           AND has_schema_privilege(k.relnamespace, 'USAGE'))
                GROUP BY t.key ) AS u
         JOIN pg_class AS c ON c.oid = u.oid
         JOIN pg_namespace AS n ON n.oid = c.relnamespace ) AS unreadable
FROM pg_database AS d
JOIN pg_roles AS r ON r.rolname = current_user
LEFT JOIN pg_replication_slots AS s ON s.slot_name = :'slot'
WHERE d.datname = current_database()
