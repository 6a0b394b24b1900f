-- What workers tell of themselves, which queues are paused, and what ended in each minute of the last day.

create table lq_worker (
    worker_id text primary key,
    host text not null,
    pid integer not null,
    version text not null,
    queues text not null,
    max_concurrency integer not null,
    running integer not null,
    draining integer not null,
    started_at integer not null,
    seen_at integer not null,
    lease_until integer not null
) without rowid;

create table lq_pause (
    queue text primary key,
    paused_at integer not null,
    until integer
) without rowid;

-- 'waits' and 'durations': JSON arrays of how many runs there were by each bound.
create table lq_tally (
    minute integer not null,
    queue text not null,
    completed integer not null,
    failed integer not null,
    retried integer not null,
    cancelled integer not null,
    waits text not null,
    durations text not null,
    primary key (minute, queue)
) without rowid;

-- Pages of the few that ended otherwise than by success.
create index lq_record_unsuccessful on lq_record (status, id) where status in ('failed', 'cancelled');
