-- Pages of records. A statement with two names is there twice: by the first as it stands, by the second without its "desc",
-- so from the oldest on. A direction cannot be a parameter and keep the order of an index.

-- Ids of the newest records.

-- $1 after this id, $2 before that one, $3 state, $4 queue, $5 task, $6 key, $7 schedule, $8 worker (each or null), $9 limit.
-- name: page_newest, page_oldest
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

-- The newest of those that ended otherwise than by success, which are few among many.
-- name: page_unsuccessful_newest, page_unsuccessful_oldest
select id from lq_done
where status <> 'completed' and status = $3::text and id > $1::uuid and id < $2::uuid
    and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
    and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
    and (worker_id = $8::text or $8::text is null)
order by id desc limit $9::integer

-- Those that run, which are as many as the fleet has slots, whatever waits beside them; the newest first, or the oldest.
-- name: page_running_newest, page_running_oldest
select id from lq_live
where status = 'running' and status = $3::text and id > $1::uuid and id < $2::uuid
    and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
    and (key = $6::text or $6::text is null) and (schedule = $7::text or $7::text is null)
    and (worker_id = $8::text or $8::text is null)
order by (id, 0) desc limit $9::integer -- not the order of an index, by which the planner would pass all that waits

-- The newest of those with one key, of which at most one is live.
-- name: page_of_key_newest, page_of_key_oldest
(
    select id from lq_live
    where key = $6::text
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (schedule = $7::text or $7::text is null) and (worker_id = $8::text or $8::text is null)
    order by (id, 0) desc limit $9::integer -- not the order of an index, by which the planner would pass all that waits
)
union all
(
    select id from lq_done
    where key = $6::text
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (schedule = $7::text or $7::text is null) and (worker_id = $8::text or $8::text is null)
    order by id desc limit $9::integer
)
order by id desc limit $9::integer

-- The newest of those that one schedule made.
-- name: page_of_schedule_newest, page_of_schedule_oldest
(
    select id from lq_live
    where schedule = $7::text
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (key = $6::text or $6::text is null) and (worker_id = $8::text or $8::text is null)
    order by (id, 0) desc limit $9::integer -- not the order of an index, by which the planner would pass all that waits
)
union all
(
    select id from lq_done
    where schedule = $7::text
        and id > $1::uuid and id < $2::uuid and (status = $3::text or $3::text is null)
        and (queue = $4::text or $4::text is null) and (task = $5::text or $5::text is null)
        and (key = $6::text or $6::text is null) and (worker_id = $8::text or $8::text is null)
    order by id desc limit $9::integer
)
order by id desc limit $9::integer

-- How far a page of the newest goes that looks at so many records of each table: the later of the last ids that it looks at.

-- $1 after this id, $2 before that one, $3 state, $4 how many less 1.
-- name: page_bound_newest, page_bound_oldest
(
    select id from lq_live
    where ($3::text in ('pending', 'scheduled') or $3::text is null) and id > $1::uuid and id < $2::uuid
    order by id desc offset $4::integer limit 1
)
union all
(
    select id from lq_done
    where ($3::text = 'completed' or $3::text is null) and id > $1::uuid and id < $2::uuid
    order by id desc offset $4::integer limit 1
)
union all
(
    select id from lq_done
    where status <> 'completed' and status = $3::text and id > $1::uuid and id < $2::uuid
    order by id desc offset $4::integer limit 1
)
order by id desc limit 1
