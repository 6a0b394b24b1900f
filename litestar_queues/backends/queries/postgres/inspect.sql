-- Records, whole.
-- name: get_many
select
    id, task, payload, queue, status, rank, attempt, max_attempts, timeout, key, created_at, due_at, expires_at, started_at,
    null::timestamptz as completed_at, lease_until, worker_id, null::text as result, error, errors, progress, metadata,
    lost_leases, cancel_requested, execution_backend, execution_profile, schedule, at_most_once
from lq_live where id = any($1::uuid[])
union all
select
    id, task, payload, queue, status, rank, attempt, max_attempts, timeout, key, created_at, due_at, expires_at, started_at,
    completed_at, null::timestamptz as lease_until, worker_id, result, error, errors, progress, metadata,
    lost_leases, cancel_requested, execution_backend, execution_profile, schedule, at_most_once
from lq_done where id = any($1::uuid[])

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
