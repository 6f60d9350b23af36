-- One row: what our role may do, and the publication by this name, with NULLs when there is none.
-- psql -v name=pgspine_shop -f publication.sql
SELECT current_setting('server_version_num') AS version_num,
       has_database_privilege(current_database(), 'CREATE') AS can_create,
       p.oid, p.puballtables AS all_tables, p.pubinsert AS insert, p.pubupdate AS update, p.pubdelete AS delete,
       p.pubtruncate AS truncate, p.pubviaroot AS via_root, pg_has_role(p.pubowner, 'USAGE') AS owned
FROM (VALUES (:'name')) AS asked (name)
LEFT JOIN pg_publication AS p ON p.pubname = asked.name
