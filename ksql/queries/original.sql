-- The original's push query, word for word: which process holds which file open. It joins on the pid alone,
-- so a row can name another host's process; queries/precise.sql is the one to trust.
select p.host as host, p.path as proc, f.path as file from proc as p join files as f within 1 minute on (f.pid=p.pid) emit changes;
