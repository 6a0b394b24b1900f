-- Records, the counts of what grows with history, and the list of applied migrations.
-- Times are microseconds since the epoch, durations seconds; JSON is text, written and checked by the library.

create table lq_schema (
    version integer primary key,
    name text not null,
    applied_at integer not null
);

create table lq_record (
    n integer primary key,
    id blob not null,
    task text not null,
    queue text not null,
    status text not null,
    priority integer not null,
    due_at integer not null,
    created_at integer not null,
    attempt integer not null default 0,
    max_attempts integer not null,
    lost_leases integer not null default 0,
    cancel_requested integer not null default 0,
    token integer,
    lease_until integer,
    worker_id text,
    started_at integer,
    completed_at integer,
    expires_at integer,
    timeout real,
    key text,
    unique_until integer,
    schedule text,
    execution_backend text,
    execution_profile text,
    backoff text,
    metadata text,
    progress text,
    error text,
    errors text,
    result text,
    payload text not null
);

-- What grows with history is indexed by age alone; every other index holds live records only.
create unique index lq_record_id on lq_record (id);
create index lq_record_pending on lq_record (queue, priority desc, due_at, id) where status = 'pending';
create index lq_record_scheduled on lq_record (queue, due_at) where status = 'scheduled';
create index lq_record_running on lq_record (lease_until) where status = 'running';
create index lq_record_stopping on lq_record (worker_id) where status = 'running' and cancel_requested = 1;
create unique index lq_record_key on lq_record (key)
    where key is not null and status in ('pending', 'scheduled', 'running');
create index lq_record_window on lq_record (key, unique_until) where unique_until is not null;
create index lq_record_terminal on lq_record (status, completed_at)
    where status in ('completed', 'failed', 'cancelled');
create index lq_record_canary on lq_record (completed_at)
    where status = 'completed' and queue = 'litestar-queues.canary';

-- Records of the queue that are in a terminal state now, or were ever pruned. 'forgotten' of the queue '': numbers of
-- lq_record.n that are given again because the last records were deleted. 'last_pruned_at' of the canary's queue: when the
-- latest pruned canary had completed, in microseconds.
create table lq_counter (
    queue text not null,
    status text not null,
    n integer not null,
    primary key (queue, status)
) without rowid;
