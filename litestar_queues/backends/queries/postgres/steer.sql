-- Cancel waiting records, and ask the holders of running ones to stop.
-- $1 now or null, $2 ids, $3 whether running ones too.
-- name: cancel_many
with clock (at) as (select coalesce($1::timestamptz, now())),
waiting as (
    delete from lq_live where id = any($2::uuid[]) and status in ('pending', 'scheduled') returning *
),
kept as (
    insert into lq_done (
        id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        worker_id, started_at, completed_at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress, error, errors, payload
    )
    select
        id, task, queue, 'cancelled', rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        worker_id, started_at, clock.at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress, 'cancelled on request', errors, payload
    from waiting cross join clock
),
counted as (
    insert into lq_count (queue, status, n) select queue, 'cancelled', count(*) from waiting group by queue
),
asked as (
    update lq_live set cancel_requested = true
    where id = any($2::uuid[]) and status = 'running' and $3::boolean
    returning id
)
select id, 'cancelled' as status from waiting
union all
select id, 'running' from asked

-- Make failed and cancelled records pending again with a fresh set of attempts; what happened before stays.
-- $1 now or null, $2 ids, $3 channel or null.
-- name: retry_many
with clock (at) as (select coalesce($1::timestamptz, now())),
made as (
    insert into lq_live (
        id, task, queue, status, rank, due_at, created_at, max_attempts, worker_id, timeout, key, unique_until, schedule,
        at_most_once, execution_backend, execution_profile, backoff, metadata, error, errors, payload
    )
    select
        id, task, queue, 'pending', rank, clock.at, created_at, max_attempts, worker_id, timeout, key, unique_until,
        schedule, at_most_once, execution_backend, execution_profile, backoff, metadata, error, errors, payload
    from (select id, min(place) as place from unnest($2::uuid[]) with ordinality as asked (id, place) group by id) as asked
    join lq_done using (id) cross join clock
    where status in ('failed', 'cancelled')
    order by place
    on conflict do nothing -- another live record holds the key
    returning id, queue
),
gone as (
    delete from lq_done using made where lq_done.id = made.id returning lq_done.queue, lq_done.status
),
counted as (
    insert into lq_count (queue, status, n) select queue, status, -count(*) from gone group by queue, status
),
told as (
    select pg_notify($3::text, queue) from (select distinct queue from made) as queues where $3::text is not null
)
select id from made where (select count(*) from told) >= 0

-- Take records back whose lease ran out by $2 (null: now), or that a former process of the worker $4 named $5 held.
-- $1 now or null, $3 limit, $6 most lost leases, $7 reason of a failure, $8 channel or null, $9 reason of one that runs at
-- most once.
-- name: rescue_many
with clock (at) as (select coalesce($1::timestamptz, now())),
lost as materialized (
    select id from lq_live
    where status = 'running' and lease_until <= coalesce($2::timestamptz, $1::timestamptz, now())
        and ($4::text is null or worker_id <> $4::text and substring(worker_id from '^(.*):[^:]*$') = $5::text)
    order by lease_until
    limit $3::integer
    for update skip locked
),
ended as (
    delete from lq_live using lost
    where lq_live.id = any(array[lost.id]) and (cancel_requested or at_most_once or lost_leases + 1 >= $6::integer)
    returning lq_live.*
),
kept as (
    insert into lq_done (
        id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        worker_id, started_at, completed_at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress, error, errors, payload
    )
    select
        id, task, queue, case when cancel_requested then 'cancelled' else 'failed' end, rank, due_at, created_at, attempt,
        max_attempts, lost_leases + 1, cancel_requested,
        worker_id, started_at, clock.at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress,
        case when cancel_requested then 'cancelled on request' when at_most_once then $9::text else $7::text end, errors,
        payload
    from ended cross join clock
),
counted as (
    insert into lq_count (queue, status, n)
    select queue, case when cancel_requested then 'cancelled' else 'failed' end, count(*) from ended group by 1, 2
),
back as (
    update lq_live set
        status = 'pending', lost_leases = lost_leases + 1, attempt = attempt - 1, token = null, lease_until = null
    from lost
    where lq_live.id = any(array[lost.id]) and not (cancel_requested or at_most_once) and lost_leases + 1 < $6::integer
    returning lq_live.id, task, queue, worker_id
),
told as (
    select pg_notify($8::text, queue) from (select distinct queue from back) as queues where $8::text is not null
)
select id, task, queue, worker_id, case when cancel_requested then 'cancelled' else 'failed' end from ended
union all
select id, task, queue, worker_id, 'pending' from back where (select count(*) from told) >= 0
