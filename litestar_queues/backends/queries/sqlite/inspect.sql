-- One record, whole.
-- name: get_record
select
    id, task, payload, queue, status, priority, attempt, max_attempts, timeout, key, created_at, due_at, expires_at,
    started_at, completed_at, lease_until, worker_id, result, error, errors, progress, metadata, lost_leases,
    cancel_requested, execution_backend, execution_profile, schedule, at_most_once
from lq_record where id = :id

-- Live records by state, counted, and ended ones, looked up.
-- name: statistics
select 'pending', count(*) from lq_record where status = 'pending'
union all
select 'scheduled', count(*) from lq_record where status = 'scheduled'
union all
select 'running', count(*) from lq_record where status = 'running'
union all
select status, sum(n) from lq_counter where status in ('completed', 'failed', 'cancelled') group by status

-- The same for one queue.
-- name: statistics_of_queue
select 'pending', count(*) from lq_record where status = 'pending' and queue = :queue
union all
select 'scheduled', count(*) from lq_record where status = 'scheduled' and queue = :queue
union all
select 'running', count(*) from lq_record where status = 'running' and queue = :queue
union all
select status, n from lq_counter where queue = :queue and status in ('completed', 'failed', 'cancelled')

-- Live records by queue, and since when the longest waiting is due; what is due is pending, whatever it is called.
-- name: queue_depths
select queue, sum(pending), sum(scheduled), sum(running), min(due_at) from (
    select queue, count(*) as pending, 0 as scheduled, 0 as running, min(due_at) as due_at
    from lq_record where status = 'pending' group by queue
    union all
    select queue, count(*), 0, 0, min(due_at)
    from lq_record where status = 'scheduled' and due_at <= :now group by queue
    union all
    select queue, 0, count(*), 0, null
    from lq_record where status = 'scheduled' and due_at > :now group by queue
    union all
    select queue, 0, 0, count(*), null
    from lq_record where status = 'running' group by queue
) group by queue order by queue

-- The balance of all that was ever enqueued: records are numbered without a gap, so the last number is how many there
-- were, and a count per enqueue (a fifth of its time) is saved.
-- name: ledger
select
    (select coalesce(max(n), 0) from lq_record) + (select coalesce(sum(n), 0) from lq_counter where status = 'forgotten'),
    (select count(*) from lq_record where status = 'pending')
    + (select count(*) from lq_record where status = 'scheduled')
    + (select count(*) from lq_record where status = 'running'),
    (select coalesce(sum(n), 0) from lq_counter where status in ('completed', 'failed', 'cancelled')),
    (select coalesce(sum(n), 0) from lq_counter where status = 'pruned')

-- When the canary last completed, be its record still there or pruned.
-- name: canary
select max(at) from (
    select max(completed_at) as at from lq_record where status = 'completed' and queue = 'litestar-queues.canary'
    union all
    select n from lq_counter where queue = 'litestar-queues.canary' and status = 'last_pruned_at'
)
