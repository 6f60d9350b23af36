-- What ANALYZE knows of the given tables: rows (NULL: never analysed) and, for each column with statistics, the share of
-- NULLs, the mean width, the number of distinct values (negative: as a share of the rows) and the share of the most
-- frequent value. Of a partitioned table that was never analysed itself, the rows of its leaves.
--   tables  '{oid,…}'
-- psql -v tables='{16384}' -f statistics.sql
SELECT c.oid AS table_oid,
       CASE WHEN c.relkind <> 'p' OR c.reltuples > 0 THEN nullif(c.reltuples, -1)
            ELSE ( SELECT sum(nullif(l.reltuples, -1))
                   FROM pg_partition_tree(c.oid) AS t
                   JOIN pg_class AS l ON l.oid = t.relid
                   WHERE t.isleaf ) END AS rows,
       ( SELECT json_agg(json_build_object('name', s.attname, 'null_share', s.null_frac, 'width', s.avg_width,
                                           'distinct', s.n_distinct, 'hottest', (s.most_common_freqs)[1]))
         FROM pg_stats AS s
         WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited = (c.relkind = 'p') ) AS columns
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (:'tables'::oid[])
ORDER BY c.oid
