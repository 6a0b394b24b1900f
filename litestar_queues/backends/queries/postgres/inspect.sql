-- Records, whole.
-- name: get_many
select
    id, task, payload, queue, status, rank, attempt, max_attempts, timeout, key, created_at, due_at, expires_at, started_at,
    null::timestamptz as completed_at, lease_until, worker_id, null::text as result, error, errors, progress, metadata, lost_leases, cancel_requested,
    execution_backend, execution_profile, schedule
from lq_live where id = any($1::uuid[])
union all
select
    id, task, payload, queue, status, rank, attempt, max_attempts, timeout, key, created_at, due_at, expires_at, started_at,
    completed_at, null::timestamptz as lease_until, worker_id, result, error, errors, progress, metadata, lost_leases, cancel_requested,
    execution_backend, execution_profile, schedule
from lq_done where id = any($1::uuid[])

-- Ids of the newest records.
-- $1 after this id, $2 before that one, $3 state, $4 queue, $5 task, $6 key, $7 schedule, $8 worker (each or null), $9 limit.
-- name: page_newest
(
    select id from lq_live
    -- without this a page of one table's state would first go through the other one
    where ($3::text in ('pending', 'scheduled', 'running') or $3::text is null)
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
        and (worker_id = $8::text or $8::text is null)
    order by id desc limit $9::integer
)
union all
(
    select id from lq_done
    where ($3::text in ('completed', 'failed', 'cancelled') or $3::text is null)
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
        and (worker_id = $8::text or $8::text is null)
    order by id desc limit $9::integer
)
order by id desc limit $9::integer

-- The same from the oldest on.
-- name: page_oldest
(
    select id from lq_live
    -- without this a page of one table's state would first go through the other one
    where ($3::text in ('pending', 'scheduled', 'running') or $3::text is null)
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
        and (worker_id = $8::text or $8::text is null)
    order by id limit $9::integer
)
union all
(
    select id from lq_done
    where ($3::text in ('completed', 'failed', 'cancelled') or $3::text is null)
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
        and (worker_id = $8::text or $8::text is null)
    order by id limit $9::integer
)
order by id limit $9::integer

-- The newest of those that ended otherwise than by success, which are few among many.
-- name: page_unsuccessful_newest
select id from lq_done
where status <> 'completed' and status = $3::text and id > $1::uuid and id < $2::uuid
    and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
    and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
    and (worker_id = $8::text or $8::text is null)
order by id desc limit $9::integer

-- The same from the oldest on.
-- name: page_unsuccessful_oldest
select id from lq_done
where status <> 'completed' and status = $3::text and id > $1::uuid and id < $2::uuid
    and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
    and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
    and (worker_id = $8::text or $8::text is null)
order by id limit $9::integer

-- Those that run, which are as many as the fleet has slots, whatever waits beside them; the newest first, or the oldest.
-- name: page_running_newest
select id from lq_live
where status = 'running' and status = $3::text and id > $1::uuid and id < $2::uuid
    and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
    and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
    and (worker_id = $8::text or $8::text is null)
order by (id, 0) desc limit $9::integer -- not the order of an index, by which the planner would pass all that waits

-- The same from the oldest on.
-- name: page_running_oldest
select id from lq_live
where status = 'running' and status = $3::text and id > $1::uuid and id < $2::uuid
    and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
    and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
    and (worker_id = $8::text or $8::text is null)
order by (id, 0) limit $9::integer

-- Live records by state, counted, and ended ones, looked up; of one queue or of all.
-- name: statistics
select 'pending', count(*) from lq_live where status = 'pending' and (queue = $1::text or $1::text is null)
union all
select 'scheduled', count(*) from lq_live where status = 'scheduled' and (queue = $1::text or $1::text is null)
union all
select 'running', count(*) from lq_live where status = 'running' and (queue = $1::text or $1::text is null)
union all
select status, sum(n)::bigint from lq_count
where status in ('completed', 'failed', 'cancelled') and (queue = $1::text or $1::text is null) group by status

-- Live records by queue, and for how long the longest waiting has been due; what is due is pending, whatever it is called.
-- $1 now.
-- name: queue_depths
select
    queue, sum(pending)::bigint, sum(scheduled)::bigint, sum(running)::bigint,
    case when min(due_at) is not null
        then greatest(0, extract(epoch from coalesce($1::timestamptz, now()) - min(due_at)))::double precision
    end
from (
    select queue, count(*) as pending, 0 as scheduled, 0 as running, min(due_at) as due_at
    from lq_live where status = 'pending' group by queue
    union all
    select queue, count(*), 0, 0, min(due_at)
    from lq_live where status = 'scheduled' and due_at <= coalesce($1::timestamptz, now()) group by queue
    union all
    select queue, 0, count(*), 0, null
    from lq_live where status = 'scheduled' and due_at > coalesce($1::timestamptz, now()) group by queue
    union all
    select queue, 0, 0, count(*), null
    from lq_live where status = 'running' group by queue
) as live
group by queue order by queue

-- When the canary last completed, in microseconds, be its record still there or pruned.
-- name: canary
select greatest(
    (
        select (extract(epoch from max(completed_at)) * 1000000)::bigint
        from lq_done where status = 'completed' and queue = 'litestar-queues.canary'
    ),
    (select max(n) from lq_count where queue = 'litestar-queues.canary' and status = 'last_pruned_at')
)

-- The balance: ended records are counted where they lie, and beside it as they were counted when they ended.
-- name: ledger
select
    live.n + (select count(*) from lq_done) + pruned.n as enqueued, live.n as live, ended.n as terminal, pruned.n as pruned
from (select count(*) as n from lq_live) as live
cross join (
    select coalesce(sum(n), 0)::bigint as n from lq_count where status in ('completed', 'failed', 'cancelled')
) as ended
cross join (select coalesce(sum(n), 0)::bigint as n from lq_count where status = 'pruned') as pruned
