-- The precise streams: the same two sides, made so that joining them names the right process.
--
-- What differs from the original:
-- * The join key is host *and* pid. Pids of two hosts collide all the time (small ones certainly do, in
--   containers), and a join on the pid alone then blames one host's process for another host's file. A join
--   takes exactly one equality, so the two become one column, `host_pid`; `/` occurs in no host name.
-- * Only lines that say "is there" count. Differential logs also hold a `removed` line for every process
--   that ended and for every row that changed; taking those for processes pairs the dead with new files.
-- * The pipeline's own activity is left out by the process that causes it, not by the file's path: osqueryd, the
--   agent that stands in for it and what starts them (`osqdemo…`), and the extension (`confluent.ext`). A file of
--   the user that merely has "osquery" in its name stays in sight. No other name is dropped: what python and bash
--   do is worth knowing.
-- * Each pattern is guarded by LEN(...) <> 0: LIKE on a missing column is an evaluation error that fills the
--   processing log, and a comparison with a missing value is simply false.
--
-- The window belongs to the query: see queries/precise.sql.
SET 'auto.offset.reset'='earliest';

CREATE STREAM precise_proc AS
    SELECT hostIdentifier + '/' + COLUMNS['pid'] AS host_pid,
           hostIdentifier AS host,
           COLUMNS['pid'] AS pid,
           COLUMNS['name'] AS name,
           COLUMNS['path'] AS path
    FROM processes
    WHERE action <> 'removed'
      AND LEN(hostIdentifier) <> 0
      AND LEN(COLUMNS['pid']) <> 0
      AND LEN(COLUMNS['name']) <> 0
      AND COLUMNS['name'] NOT LIKE '%osquery%'
      AND COLUMNS['name'] NOT LIKE 'osqdemo%'
      AND COLUMNS['name'] NOT LIKE 'confluent%ext'
    EMIT CHANGES;

CREATE STREAM precise_files AS
    SELECT hostIdentifier + '/' + COLUMNS['pid'] AS host_pid,
           hostIdentifier AS host,
           COLUMNS['pid'] AS pid,
           COLUMNS['path'] AS path
    FROM open_files
    WHERE action <> 'removed'
      AND LEN(hostIdentifier) <> 0
      AND LEN(COLUMNS['pid']) <> 0
      AND LEN(COLUMNS['path']) <> 0
      AND COLUMNS['path'] NOT LIKE '/proc/%'
      AND COLUMNS['path'] NOT LIKE '/dev/%'
    EMIT CHANGES;
