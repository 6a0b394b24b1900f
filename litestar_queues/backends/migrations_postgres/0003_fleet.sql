-- What workers tell of themselves, which queues are paused, and what ended in each minute of the last day.

create table lq_worker (
    worker_id text primary key,
    host text not null,
    pid integer not null,
    version text not null,
    queues text[] not null,
    max_concurrency integer not null,
    running integer not null,
    draining boolean not null,
    started_at timestamptz not null,
    seen_at timestamptz not null,
    lease_until timestamptz not null
) with (
    -- each row is written anew every few seconds: with room beside it, and without an index over what changes
    fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000
);

create table lq_pause (
    queue text primary key,
    paused_at timestamptz not null,
    until timestamptz
);

-- 'waits' and 'durations': how many runs there were by each bound.
create table lq_tally (
    minute timestamptz not null,
    queue text not null,
    completed bigint not null,
    failed bigint not null,
    retried bigint not null,
    cancelled bigint not null,
    waits bigint[] not null,
    durations bigint[] not null,
    primary key (minute, queue)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The next delayed record of one queue, however many of a paused one are due before it.
create index on lq_live (queue, due_at) where status = 'scheduled';
