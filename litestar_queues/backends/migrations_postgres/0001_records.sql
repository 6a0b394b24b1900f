-- Live records and ended ones apart, and the counts of what has ended. `lq_` stands for the prefix that the settings
-- give. Indexes bear the names that the server gives them, so that two prefixes can live in one schema.

create table lq_schema (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
);

create table lq_live (
    id uuid primary key,
    task text not null,
    queue text not null,
    status text not null,
    rank integer not null, -- the negated priority: all columns of the claim's index go up
    due_at timestamptz not null,
    created_at timestamptz not null,
    attempt integer not null default 0,
    max_attempts integer not null,
    lost_leases integer not null default 0,
    cancel_requested boolean not null default false,
    token bigint,
    lease_until timestamptz,
    worker_id text,
    started_at timestamptz,
    expires_at timestamptz,
    timeout double precision,
    key text,
    unique_until timestamptz,
    schedule text,
    execution_backend text,
    execution_profile text,
    backoff text,
    metadata text,
    progress text,
    error text,
    errors text,
    payload text not null
) with (
    -- each record leaves two dead rows behind within seconds: vacuum often, and without naps
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.1
);

create index on lq_live (queue, rank, due_at, id) where status = 'pending';
create index on lq_live (due_at, queue) where status = 'scheduled';
create index on lq_live (lease_until) where status = 'running';
create index on lq_live (worker_id) where status = 'running' and cancel_requested;
create unique index on lq_live (key) where key is not null;
create index on lq_live (schedule) where schedule is not null;

create table lq_done (
    id uuid primary key,
    task text not null,
    queue text not null,
    status text not null,
    rank integer not null,
    due_at timestamptz not null,
    created_at timestamptz not null,
    attempt integer not null,
    max_attempts integer not null,
    lost_leases integer not null,
    cancel_requested boolean not null,
    worker_id text,
    started_at timestamptz,
    completed_at timestamptz not null,
    expires_at timestamptz,
    timeout double precision,
    key text,
    unique_until timestamptz,
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

create index on lq_done (status, completed_at);
create index on lq_done (status, id) where status <> 'completed';
create index on lq_done (key, unique_until) where unique_until is not null;
create index on lq_done (completed_at) where status = 'completed' and queue = 'litestar-queues.canary';

-- What has ended ('completed', ...) and what was pruned, as changes: writers add rows and never wait for each other,
-- and a worker folds them up now and then.
create table lq_count (
    queue text not null,
    status text not null,
    n bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
