-- Every queue that has records waiting (due null) or delayed (due = the earliest), found by jumping through the indexes.
-- Paused ones are left out, until their pause ends: that is when they are due.
-- name: look_everywhere
with recursive
waiting (queue) as (
    select min(queue) from lq_record where status = 'pending'
    union all
    select (select min(queue) from lq_record where status = 'pending' and queue > waiting.queue)
    from waiting where waiting.queue is not null
),
delayed (queue) as (
    select min(queue) from lq_record where status = 'scheduled'
    union all
    select (select min(queue) from lq_record where status = 'scheduled' and queue > delayed.queue)
    from delayed where delayed.queue is not null
)
select queue, null from waiting
where queue <> 'litestar-queues.canary'
    and queue not in (select queue from lq_pause where until is null or until > :now)
union all
select queue, (select min(due_at) from lq_record where status = 'scheduled' and queue = delayed.queue)
from delayed
where queue <> 'litestar-queues.canary'
    and queue not in (select queue from lq_pause where until is null or until > :now)
union all
select queue, until from lq_pause
where until > :now and (
    exists (select 1 from lq_record where status = 'pending' and queue = lq_pause.queue)
    or exists (select 1 from lq_record where status = 'scheduled' and queue = lq_pause.queue)
)

-- The same for the named queues.
-- name: look_in
select value, null
from json_each(:queues)
where exists (select 1 from lq_record where status = 'pending' and queue = value)
    and value not in (select queue from lq_pause where until is null or until > :now)
union all
select value, (select min(due_at) from lq_record where status = 'scheduled' and queue = value)
from json_each(:queues)
where exists (select 1 from lq_record where status = 'scheduled' and queue = value)
    and value not in (select queue from lq_pause where until is null or until > :now)
union all
select queue, until
from json_each(:queues) cross join lq_pause on queue = value
where until > :now and (
    exists (select 1 from lq_record where status = 'pending' and queue = value)
    or exists (select 1 from lq_record where status = 'scheduled' and queue = value)
)

-- Make delayed records of a queue that are due pending.
-- name: promote
update lq_record set status = 'pending'
where n in (
    select n from lq_record
    where status = 'scheduled' and queue = :queue and due_at <= :now
    order by due_at limit :limit
)

-- The first waiting records of a queue in claim order, as one JSON row: each step of a statement may wait for the
-- interpreter lock.
-- name: pick
select json_group_array(json_array(-priority, due_at, hex(id), n, expires_at <= :now)) from (
    select priority, due_at, id, n, expires_at from lq_record
    where status = 'pending' and queue = :queue
    order by priority desc, due_at, id limit :limit
)

-- Hold the picked records.
-- name: hold
update lq_record set
    status = 'running', token = :token, lease_until = :lease_until, worker_id = :worker_id, started_at = :now,
    attempt = attempt + 1
where n in (select value from json_each(:ns))

-- What a run needs of the held records, in the order of the picks, as one JSON text; payloads are JSON already, and what
-- few records have is left out where there is none. 'quoted': a payload is to arrive as a text, since it is no JSON.
-- name: held
select '[' || group_concat(
    '["' || hex(lq_record.id) || '",' || json_quote(task) || ',' || json_quote(queue) || ','
    || case when :quoted then json_quote(payload) else payload end || ','
    || attempt || ',' || max_attempts || ',' || due_at || case
        when coalesce(timeout, metadata, backoff, execution_backend, execution_profile, schedule) is null
            and not at_most_once then ']'
        else ',' || json_quote(timeout) || ',' || json_quote(metadata) || ',' || json_quote(backoff) || ','
            || json_quote(execution_backend) || ',' || json_quote(execution_profile) || ',' || json_quote(schedule)
            || case when at_most_once then ',true]' else ',false]' end
    end
) || ']'
from json_each(:ns) cross join lq_record on n = value

-- Cancel picked records that expired before a worker could start them.
-- name: expire
update lq_record set
    status = 'cancelled', completed_at = :now, error = :error
where n in (select value from json_each(:ns))

-- How many of these records each queue has.
-- name: count_by_queue
select queue, count(*) from json_each(:ns) cross join lq_record on n = value group by queue
