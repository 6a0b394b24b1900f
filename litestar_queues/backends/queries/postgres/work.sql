-- Store the success of records that are still held, and hold the next due ones: one round trip, one commit.
-- $1 now or null, $2 ids, $3 tokens, $4 results; $5 queues, $6 every queue, $7 limit, $8 token, $9 lease in seconds,
-- $10 worker, and where to begin in each queue: $11 queues, $12 ranks, $13 due times, $14 ids; $15 claim although
-- delayed records are due that have not been made pending: without it nothing is held then; $16 queues that are paused and
-- not asked for: where another one is paused nothing is held.
-- name: finish_and_claim
with recursive
clock (at) as (select coalesce($1::timestamptz, now())),
ended as (
    delete from lq_live using unnest($2::uuid[], $3::bigint[], $4::text[]) as done (id, token, result)
    -- only what runs has a token. An array of one id: a join on the id itself may go through the index of all ids, which is
    -- long where dead rows cannot be removed, and the planner, who counts live rows, thinks it short
    where lq_live.id = any(array[done.id]) and lq_live.token = done.token
    returning lq_live.*, done.result
),
kept as (
    insert into lq_done (
        id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        worker_id, started_at, completed_at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress, errors, result, payload
    )
    select
        id, task, queue, 'completed', rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        worker_id, started_at, clock.at, expires_at, timeout, key, unique_until, schedule, at_most_once,
        execution_backend, execution_profile, backoff, metadata, progress, errors, result, payload
    from ended cross join clock
),
counted as (
    insert into lq_count (queue, status, n) select queue, 'completed', count(*) from ended group by queue
),
soonest (due_in) as (
    select extract(epoch from least(
        (
            select due_at from lq_live
            where status = 'scheduled' and $6::boolean and queue <> 'litestar-queues.canary'
            order by due_at, queue limit 1
        ),
        ( -- by queue: a walk by time would pass all that is due in others, which may be paused
            select min(first.due_at)
            from unnest($5::text[]) as named (queue)
            cross join lateral (
                select due_at from lq_live
                where status = 'scheduled' and lq_live.queue = named.queue order by due_at limit 1
            ) as first
        )
    ) - (select at from clock))::double precision
),
pauses (are_news) as (
    select exists (
        select from lq_pause where (until is null or until > (select at from clock)) and queue <> all($16::text[])
    )
),
demand (n) as (
    select case
        when (select are_news from pauses) then 0
        when $15::boolean or not exists (select 1 from soonest where due_in <= 0) then $7::integer
        else 0
    end
),
waiting (queue) as ( -- jumps from queue to queue through the index
    (select queue from lq_live where status = 'pending' and $6::boolean order by queue limit 1)
    union all
    select (select queue from lq_live where status = 'pending' and queue > waiting.queue order by queue limit 1)
    from waiting where waiting.queue is not null
),
wanted (queue) as (
    select unnest($5::text[])
    union all
    select queue from waiting where queue is not null and queue <> 'litestar-queues.canary'
),
picked as materialized (
    select found.*
    from wanted
    left join unnest($11::text[], $12::integer[], $13::timestamptz[], $14::uuid[]) as start (queue, rank, due_at, id)
        on start.queue = wanted.queue
    cross join lateral (
        select lq_live.ctid as place, rank, due_at, id, expires_at <= (select at from clock) as expired
        from lq_live
        where status = 'pending' and lq_live.queue = wanted.queue
            and (lq_live.rank, lq_live.due_at, lq_live.id) >= (
                coalesce(start.rank, -2147483648), coalesce(start.due_at, '-infinity'),
                coalesce(start.id, '00000000-0000-0000-0000-000000000000')
            )
        order by lq_live.rank, lq_live.due_at, lq_live.id
        limit (select n from demand)
        for update skip locked
    ) as found
    order by found.rank, found.due_at, found.id
    limit (select n from demand)
),
held as (
    update lq_live set
        status = 'running', token = $8::bigint,
        lease_until = (select at from clock) + make_interval(secs => $9::double precision),
        worker_id = $10::text, started_at = (select at from clock), attempt = attempt + 1
    -- by place: a join on the id would look each row up once more
    where ctid = any(array(select place from picked where expired is not true))
    returning
        id, task, queue, payload, attempt, max_attempts, timeout, metadata, backoff, execution_backend,
        execution_profile, schedule, at_most_once, rank, due_at,
        greatest(0, extract(epoch from (select at from clock) - due_at))::double precision as waited
),
ordered as (select * from held order by rank, due_at, id)
select
    (select array_agg(id) from ended) as finished,
    (select array_agg(token) from ended) as finished_tokens,
    (select array_agg(id) from picked where expired) as expired,
    (select due_in from soonest) as next_due_in,
    array_agg(id) as id, array_agg(task) as task, array_agg(queue) as queue, array_agg(payload) as payload,
    array_agg(attempt) as attempt, array_agg(max_attempts) as max_attempts, array_agg(timeout) as timeout,
    array_agg(metadata) as metadata, array_agg(backoff) as backoff, array_agg(execution_backend) as execution_backend,
    array_agg(execution_profile) as execution_profile, array_agg(schedule) as schedule, array_agg(waited) as waited,
    array_agg(at_most_once) as at_most_once,
    array_agg(rank) as rank, array_agg(due_at) as due_at, $8::bigint as token,
    (select are_news from pauses) as are_news
from ordered

-- What a claim must know while queues are paused: their names, those of the others of which it may take, and the seconds
-- until a pause ends behind which records wait. $1 now or null, $2 queues, $3 every queue.
-- name: look_around_pauses
with recursive
clock (at) as (select coalesce($1::timestamptz, now())),
paused (queue, until) as materialized (
    select queue, until from lq_pause where until is null or until > (select at from clock)
),
waiting (queue) as ( -- jumps from queue to queue through the index
    (select queue from lq_live where status = 'pending' and $3::boolean order by queue limit 1)
    union all
    select (select queue from lq_live where status = 'pending' and queue > waiting.queue order by queue limit 1)
    from waiting where waiting.queue is not null
),
delayed (queue) as (
    (select queue from lq_live where status = 'scheduled' and $3::boolean order by queue limit 1)
    union all
    select (select queue from lq_live where status = 'scheduled' and queue > delayed.queue order by queue limit 1)
    from delayed where delayed.queue is not null
),
wanted (queue) as (
    select unnest($2::text[])
    union -- each once
    select queue from waiting where queue <> 'litestar-queues.canary'
    union
    select queue from delayed where queue <> 'litestar-queues.canary'
)
select
    array(select queue from paused) as paused,
    array(select queue from wanted where queue <> all(array(select queue from paused))) as open,
    (
        select extract(epoch from min(until) - (select at from clock))::double precision
        from paused join wanted using (queue)
        where coalesce(
            ( -- in the order of an index, or the planner may prefer the table
                select true from lq_live
                where status = 'pending' and lq_live.queue = paused.queue order by rank, due_at limit 1
            ),
            (select true from lq_live where status = 'scheduled' and lq_live.queue = paused.queue order by due_at limit 1)
        )
    ) as resumed_in

-- Make delayed records of the named queues, or of every queue, pending that are due, unless the queue is paused: those due
-- first. $1 now or null, $2 limit, $3 queues, $4 every queue.
-- name: promote
with recursive
delayed (queue) as ( -- jumps from queue to queue through the index
    (select queue from lq_live where status = 'scheduled' and $4::boolean order by queue limit 1)
    union all
    select (select queue from lq_live where status = 'scheduled' and queue > delayed.queue order by queue limit 1)
    from delayed where delayed.queue is not null
),
first_due as materialized (
    select found.place
    from (
        select queue from unnest($3::text[]) as named (queue)
        union all
        select queue from delayed where queue <> 'litestar-queues.canary'
    ) as one
    cross join lateral (
        select ctid as place, due_at from lq_live
        where status = 'scheduled' and lq_live.queue = one.queue and due_at <= coalesce($1::timestamptz, now())
        order by due_at
        limit $2::integer
    ) as found
    where one.queue <> all(
        array(select queue from lq_pause where until is null or until > coalesce($1::timestamptz, now()))
    )
    order by found.due_at
    limit $2::integer
),
due as materialized ( -- locked only now, or those of later queues would be locked in vain
    select ctid as place from lq_live
    where ctid = any(array(select place from first_due)) and status = 'scheduled'
        and due_at <= coalesce($1::timestamptz, now())
    for update skip locked
)
-- by place: without the settings of a session, as behind a pooler, a join on the id may go through the whole table
update lq_live set status = 'pending' where ctid = any(array(select place from due))

-- Cancel waiting records that expired before a worker could start them.
-- name: expire_many
with clock (at) as (select coalesce($1::timestamptz, now())),
expired as (
    delete from lq_live using clock
    where id = any($2::uuid[]) and status = 'pending' and expires_at <= clock.at
    returning lq_live.*
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
        'expired before a worker could start it', errors, payload
    from expired cross join clock
)
insert into lq_count (queue, status, n) select queue, 'cancelled', count(*) from expired group by queue

-- The first pending record of each queue named in $1, or of every queue ($2).
-- name: find_fronts
with recursive front (queue, rank, due_at, id) as ( -- jumps from queue to queue through the index
    (
        select queue, rank, due_at, id from lq_live
        where status = 'pending' and $2::boolean order by queue, rank, due_at, id limit 1
    )
    union all
    select found.*
    from front
    cross join lateral (
        select queue, rank, due_at, id from lq_live
        where status = 'pending' and queue > front.queue order by queue, rank, due_at, id limit 1
    ) as found
)
select * from front
union all
select found.*
from unnest($1::text[]) as named (queue)
cross join lateral (
    select queue, rank, due_at, id from lq_live
    where status = 'pending' and lq_live.queue = named.queue order by rank, due_at, id limit 1
) as found

-- About how many rows of the live table wait for vacuum.
-- name: dead_rows
select pg_stat_get_dead_tuples('lq_live'::regclass)
