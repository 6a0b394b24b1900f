-- End held records otherwise than by success, and keep what each attempt raised.
-- $1 now or null, $2 ids, $3 tokens, $4 states, $5 errors, $6 what the attempt raised, as JSON without its opening.
-- name: end_many
with clock (at) as (select coalesce($1::timestamptz, now())),
ended as (
    delete from lq_live
    using unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[]) as done (id, token, ending, reason, entry)
    where lq_live.id = any(array[done.id]) and lq_live.token = done.token
    returning lq_live.*, done.ending, done.reason, done.entry
),
kept as (
    insert into lq_done (
        id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        worker_id, started_at, completed_at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress, error, errors, payload
    )
    select
        id, task, queue, ending, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        worker_id, started_at, clock.at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress, reason,
        case when entry is null then errors else coalesce(left(errors, -1) || ',', '[')
            || '{"attempt":' || attempt || ',"at":' || (extract(epoch from clock.at) * 1000000)::bigint || entry || ']' end,
        payload
    from ended cross join clock
),
counted as (
    insert into lq_count (queue, status, n) select queue, ending, count(*) from ended group by queue, ending
)
select id from ended

-- Give held records back, with their attempt or for the next one; those asked to stop are cancelled instead.
-- $1 now or null, $2 ids, $3 tokens, $4 delays or null, $5 errors or null, $6 what was raised, $7 whether the attempt is
-- spent, $8 channel or null.
-- name: give_back_many
with clock (at) as (select coalesce($1::timestamptz, now())),
given (id, token, delay, reason, entry, spent) as (
    select * from unnest(
        $2::uuid[], $3::bigint[], $4::double precision[], $5::text[], $6::text[], $7::boolean[]
    )
),
stopped as (
    delete from lq_live using given
    where lq_live.id = any(array[given.id]) and lq_live.token = given.token and cancel_requested
    returning lq_live.*, given.reason, given.entry, given.spent
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
        execution_backend, execution_profile, backoff, metadata, progress,
        case when spent then reason else 'cancelled on request' end,
        case when entry is null then errors else coalesce(left(errors, -1) || ',', '[')
            || '{"attempt":' || attempt || ',"at":' || (extract(epoch from clock.at) * 1000000)::bigint || entry || ']' end,
        payload
    from stopped cross join clock
),
counted as (
    insert into lq_count (queue, status, n) select queue, 'cancelled', count(*) from stopped group by queue
),
back as (
    update lq_live set
        status = case when given.delay > 0 then 'scheduled' else 'pending' end,
        due_at = coalesce(clock.at + make_interval(secs => given.delay), due_at),
        attempt = attempt - case when given.spent then 0 else 1 end, token = null, lease_until = null,
        error = coalesce(given.reason, error),
        errors = case when given.entry is null then errors else coalesce(left(errors, -1) || ',', '[')
            || '{"attempt":' || attempt || ',"at":' || (extract(epoch from clock.at) * 1000000)::bigint || given.entry
            || ']' end
    from given cross join clock
    where lq_live.id = any(array[given.id]) and lq_live.token = given.token and not cancel_requested
    returning lq_live.id, lq_live.queue
),
told as (
    select pg_notify($8::text, queue) from (select distinct queue from back) as queues where $8::text is not null
)
select id from stopped
union all
select id from back where (select count(*) from told) >= 0

-- Extend the leases of all that are held; what is not named in the answer is lost.
-- name: renew_many
update lq_live set lease_until = coalesce($1::timestamptz, now()) + make_interval(secs => $4::double precision)
from unnest($2::uuid[], $3::bigint[]) as held (id, token)
where lq_live.id = any(array[held.id]) and lq_live.token = held.token
returning lq_live.id, lq_live.token, cancel_requested

-- Running records of a worker that somebody asked to stop.
-- name: cancel_requests
select id from lq_live where status = 'running' and cancel_requested and worker_id = $1::text

-- Store the progress of all that are held.
-- name: save_progress
update lq_live set progress = news.progress
from unnest($1::uuid[], $2::bigint[], $3::text[]) as news (id, token, progress)
where lq_live.id = any(array[news.id]) and lq_live.token = news.token
