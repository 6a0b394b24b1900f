-- Note what a worker tells of itself.
-- name: report_worker
insert into lq_worker (
    worker_id, host, pid, version, queues, max_concurrency, running, draining, started_at, seen_at, lease_until
)
values (
    :worker_id, :host, :pid, :version, :queues, :max_concurrency, :running, :draining, :started_at, :now, :lease_until
)
on conflict (worker_id) do update set
    host = excluded.host, pid = excluded.pid, version = excluded.version, queues = excluded.queues,
    max_concurrency = excluded.max_concurrency, running = excluded.running, draining = excluded.draining,
    started_at = excluded.started_at, seen_at = excluded.seen_at, lease_until = excluded.lease_until

-- Delete what a worker told.
-- name: forget_worker
delete from lq_worker where worker_id = :worker_id

-- All workers; there are as many as the fleet has, and those that were lost within a day.
-- name: list_workers
select
    worker_id, host, pid, version, queues, max_concurrency, running, draining, started_at, seen_at, lease_until > :now
from lq_worker order by host, worker_id

-- What is noted of a minute and queue.
-- name: find_tally
select minute, queue, completed, failed, retried, cancelled, waits, durations from lq_tally
where minute = :minute and queue = :queue

-- Note what ended in a minute and queue.
-- name: put_tally
insert or replace into lq_tally (minute, queue, completed, failed, retried, cancelled, waits, durations)
values (:minute, :queue, :completed, :failed, :retried, :cancelled, :waits, :durations)

-- The tallies since a minute.
-- name: list_tallies
select minute, queue, completed, failed, retried, cancelled, waits, durations from lq_tally
where minute >= :since order by minute, queue

-- Pause a queue, or move the end of its pause.
-- name: pause_queue
insert into lq_pause (queue, paused_at, until) values (:queue, :now, :until)
on conflict (queue) do update set until = excluded.until

-- Delete pauses that are over.
-- name: forget_pauses
delete from lq_pause where until <= :now

-- End a pause.
-- name: resume_queue
delete from lq_pause where queue = :queue

-- The pauses in force.
-- name: paused_queues
select queue, paused_at, until from lq_pause where until is null or until > :now order by queue

-- Delete workers that were lost long ago.
-- name: prune_workers
delete from lq_worker
where worker_id in (select worker_id from lq_worker where seen_at < :before and lease_until <= :now limit :limit)

-- Delete tallies of long ago.
-- name: prune_tallies
delete from lq_tally
where (minute, queue) in (select minute, queue from lq_tally where minute < :before order by minute limit :limit)
