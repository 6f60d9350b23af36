-- Transactions older than `xid`, with what runs them: a server process, or a prepared transaction and its name. What
-- they do is told only to superusers and members of pg_read_all_stats; the locks are told to everybody.
-- psql -v xid=1234 -f blockers.sql
SELECT l.pid, p.gid, a.usename AS role, a.state, left(a.query, 200) AS query,
       extract(epoch FROM now() - coalesce(a.xact_start, p.prepared))::bigint AS seconds
FROM pg_snapshot_xip(pg_current_snapshot()) AS running (xid)
LEFT JOIN pg_locks AS l ON l.locktype = 'transactionid' AND l.transactionid = running.xid::xid AND l.granted
LEFT JOIN pg_prepared_xacts AS p ON p.transaction = running.xid::xid
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE running.xid < (:'xid')::xid8
ORDER BY l.pid
