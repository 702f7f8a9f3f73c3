-- Which process on which host holds which file open.
--
-- WITHIN (before, after) says how far a file's line may lie before and after the process's line:
-- * One hour after. osquery logs differences: a process that does not change is logged once, when it is first
--   seen, and may open the file long afterwards. The original's one minute misses it.
-- * One minute before. The two scheduled queries run independently, so the file of a new process may be
--   logged first, by at most the longer of the two intervals.
-- A longer window would find older processes, at the price of remembering every line for as long, and of
-- taking a reused pid for the process that had it before.
--
-- GRACE PERIOD: a host that could not reach the broker delivers its lines late, with the time they were made.
-- Ten minutes of such an outage lose no match; without the clause ksqlDB would remember for a whole day.
--
-- A process that changes is logged again and again (its CPU time is a column), and each of its lines within
-- the window matches: the same host, process and file can come more than once.
SELECT p.host AS host, p.path AS proc, f.path AS file
FROM precise_proc AS p
    JOIN precise_files AS f
    WITHIN (1 MINUTE, 1 HOUR) GRACE PERIOD 10 MINUTES
    ON p.host_pid = f.host_pid
EMIT CHANGES;
