-- Pages of records. A statement with two names is there twice: by the first as it stands, by the second without its "desc",
-- so from the oldest on. A direction cannot be a parameter and keep the order of an index.

-- Ids of the newest records, for filters that most records pass: walks the ids.
-- name: page_newest, page_oldest
select id from lq_record
where id > :after and id < :before and (:status is null or status = :status)
    and (:queue is null or queue = :queue) and (:task is null or task = :task) and (:key is null or key = :key)
    and (:schedule is null or schedule = :schedule) and (:worker_id is null or worker_id = :worker_id)
order by id desc limit :limit

-- The newest of those that ended otherwise than by success, which are few among many.
-- name: page_unsuccessful_newest, page_unsuccessful_oldest
select id from lq_record
where status in ('failed', 'cancelled') and status = :status and id > :after and id < :before
    and (:queue is null or queue = :queue) and (:task is null or task = :task) and (:key is null or key = :key)
    and (:schedule is null or schedule = :schedule) and (:worker_id is null or worker_id = :worker_id)
order by id desc limit :limit

-- Those of a live state, which few records are in: goes through all of the state.
-- name: page_live
select id
from (
    select n from lq_record where status = 'pending' and :status = 'pending'
    union all
    select n from lq_record where status = 'scheduled' and :status = 'scheduled'
    union all
    select n from lq_record where status = 'running' and :status = 'running'
) as found cross join lq_record on lq_record.n = found.n
where id > :after and id < :before
    and (:queue is null or queue = :queue) and (:task is null or task = :task) and (:key is null or key = :key)
    and (:schedule is null or schedule = :schedule) and (:worker_id is null or worker_id = :worker_id)
order by case when :oldest_first then id end, id desc limit :limit

-- The newest of those with one key.
-- name: page_of_key_newest, page_of_key_oldest
select id from lq_record
where key = :key and id > :after and id < :before and (:status is null or status = :status)
    and (:queue is null or queue = :queue) and (:task is null or task = :task) and (:schedule is null or schedule = :schedule)
    and (:worker_id is null or worker_id = :worker_id)
order by id desc limit :limit

-- The newest of those that one schedule made.
-- name: page_of_schedule_newest, page_of_schedule_oldest
select id from lq_record
where schedule = :schedule and status in ('pending', 'scheduled', 'running') and id > :after and id < :before
    and (:status is null or status = :status) and (:queue is null or queue = :queue) and (:task is null or task = :task)
    and (:key is null or key = :key) and (:worker_id is null or worker_id = :worker_id)
union all
select id from lq_record
where schedule = :schedule and status in ('completed', 'failed', 'cancelled') and id > :after and id < :before
    and (:status is null or status = :status) and (:queue is null or queue = :queue) and (:task is null or task = :task)
    and (:key is null or key = :key) and (:worker_id is null or worker_id = :worker_id)
order by id desc limit :limit

-- How far a page of the newest goes that looks at so many records: the id of the last one.
-- name: page_bound_newest, page_bound_oldest
select id from lq_record where id > :after and id < :before order by id desc limit 1 offset :skipped

-- The same among those that ended otherwise than by success.
-- name: page_bound_unsuccessful_newest, page_bound_unsuccessful_oldest
select id from lq_record
where status in ('failed', 'cancelled') and status = :status and id > :after and id < :before
order by id desc limit 1 offset :skipped
