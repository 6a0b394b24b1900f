-- Note what a worker tells of itself, and add what ended in it to the sums of this minute.
-- $1 now or null, $2 worker, $3 host, $4 pid, $5 version, $6 queues, $7 most at a time, $8 running, $9 draining,
-- $10 start, $11 lease in seconds; one for each queue, by name: $12 queues, $13 completed, $14 failed, $15 retried,
-- $16 cancelled, $17 waits, $18 durations.
-- A whole fleet adds to one row, each after the commit of the one before: flushed to a disk that takes 5 ms, that is 200 a
-- second at most. So the commit waits for no flush; who falls with the server in that moment tells it the next time.
-- name: report_worker
with clock (at) as (
    select coalesce($1::timestamptz, now()) from set_config('synchronous_commit', 'off', true)
),
told as (
    insert into lq_worker (
        worker_id, host, pid, version, queues, max_concurrency, running, draining, started_at, seen_at, lease_until
    )
    select
        $2::text, $3::text, $4::integer, $5::text, $6::text[], $7::integer, $8::integer, $9::boolean, $10::timestamptz,
        clock.at, clock.at + make_interval(secs => $11::double precision)
    from clock
    on conflict (worker_id) do update set
        host = excluded.host, pid = excluded.pid, version = excluded.version, queues = excluded.queues,
        max_concurrency = excluded.max_concurrency, running = excluded.running, draining = excluded.draining,
        started_at = excluded.started_at, seen_at = excluded.seen_at, lease_until = excluded.lease_until
)
insert into lq_tally as old (minute, queue, completed, failed, retried, cancelled, waits, durations)
select
    to_timestamp(floor(extract(epoch from clock.at) / 60) * 60), ended.queue, ended.completed, ended.failed,
    ended.retried, ended.cancelled, ended.waits::bigint[], ended.durations::bigint[]
from unnest(
    $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::text[], $18::text[]
) as ended (queue, completed, failed, retried, cancelled, waits, durations)
cross join clock
on conflict (minute, queue) do update set
    completed = old.completed + excluded.completed, failed = old.failed + excluded.failed,
    retried = old.retried + excluded.retried, cancelled = old.cancelled + excluded.cancelled,
    waits = array(
        select coalesce(mine, 0) + coalesce(more, 0)
        from unnest(old.waits, excluded.waits) with ordinality as both_of (mine, more, place) order by place
    ),
    durations = array(
        select coalesce(mine, 0) + coalesce(more, 0)
        from unnest(old.durations, excluded.durations) with ordinality as both_of (mine, more, place) order by place
    )

-- Delete what a worker told.
-- name: forget_worker
delete from lq_worker where worker_id = $1::text

-- All workers; there are as many as the fleet has, and those that were lost within a day.
-- name: list_workers
select
    worker_id, host, pid, version, queues, max_concurrency, running, draining, started_at, seen_at,
    lease_until > coalesce($1::timestamptz, now()) as alive
from lq_worker order by host collate "C", worker_id collate "C"

-- How many of them are in each state: a fleet's rows would take the exporter's time. $1 now or null.
-- name: count_workers
select
    case
        when lease_until <= coalesce($1::timestamptz, now()) then 'lost' when draining then 'draining' else 'working'
    end as state,
    count(*)
from lq_worker group by state

-- The tallies of the last $2 seconds, counted from $1 (null: now).
-- name: list_tallies
select minute, queue, completed, failed, retried, cancelled, waits, durations from lq_tally
where minute >= to_timestamp(
    floor((extract(epoch from coalesce($1::timestamptz, now())) - $2::double precision) / 60) * 60
)
order by minute, queue collate "C"

-- Pause a queue, or move the end of its pause; others that are over are deleted.
-- $1 now or null, $2 queue, $3 seconds or null.
-- name: pause_queue
with clock (at) as (select coalesce($1::timestamptz, now())),
over as (
    delete from lq_pause using clock where until <= clock.at and queue <> $2::text
)
insert into lq_pause as old (queue, paused_at, until)
select $2::text, clock.at, clock.at + make_interval(secs => $3::double precision) from clock
on conflict (queue) do update set
    until = excluded.until,
    paused_at = case
        when old.until is null or old.until > excluded.paused_at then old.paused_at else excluded.paused_at
    end

-- End a pause; whether it was in force. $1 now or null, $2 queue, $3 channel or null.
-- name: resume_queue
with ended as (
    delete from lq_pause where queue = $2::text
    returning (until is null or until > coalesce($1::timestamptz, now())) as in_force
),
told as (
    select pg_notify($3::text, $2::text) from ended where $3::text is not null
)
select in_force from ended where (select count(*) from told) >= 0

-- The pauses in force.
-- name: paused_queues
select queue, paused_at, until from lq_pause
where until is null or until > coalesce($1::timestamptz, now()) order by queue collate "C"

-- Delete workers that were lost long ago. $1 now or null, $2 age in seconds, $3 limit.
-- name: prune_workers
with old as materialized (
    select ctid as place from lq_worker
    where seen_at < coalesce($1::timestamptz, now()) - make_interval(secs => $2::double precision)
        and lease_until <= coalesce($1::timestamptz, now())
    limit $3::integer
    for update skip locked
)
delete from lq_worker where ctid = any(array(select place from old))
returning worker_id

-- Delete tallies of long ago. $1 now or null, $2 age in seconds, $3 limit.
-- name: prune_tallies
with old as materialized (
    select ctid as place from lq_tally
    where minute < coalesce($1::timestamptz, now()) - make_interval(secs => $2::double precision)
    order by minute
    limit $3::integer
    for update skip locked
)
delete from lq_tally where ctid = any(array(select place from old))
returning minute
