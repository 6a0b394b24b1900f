-- Insert one record; an id that is there already is a reply that got lost.
-- name: insert_record
insert into lq_record (
    id, task, payload, queue, status, priority, due_at, created_at, max_attempts, timeout, key, unique_until,
    expires_at, metadata, backoff, execution_backend, execution_profile, schedule, at_most_once
) values (
    :id, :task, :payload, :queue, :status, :priority, :due_at, :now, :max_attempts, :timeout, :key, :unique_until,
    :expires_at, :metadata, :backoff, :execution_backend, :execution_profile, :schedule, :at_most_once
) on conflict (id) do nothing

-- Insert records without keys that differ in id and payload alone: ids as one blob, payloads as a JSON array of texts.
-- name: insert_alike
insert into lq_record (
    id, task, payload, queue, status, priority, due_at, created_at, max_attempts, timeout,
    expires_at, metadata, backoff, execution_backend, execution_profile, schedule, at_most_once
)
select
    substr(:ids, key * 16 + 1, 16), :task, value, :queue, :status, :priority, :due_at, :now, :max_attempts, :timeout,
    :expires_at, :metadata, :backoff, :execution_backend, :execution_profile, :schedule, :at_most_once
from json_each(:payloads)
where true -- or the parser takes "on conflict" for a join
on conflict (id) do nothing

-- The record that holds a key: a live one, or one still within its window.
-- name: find_holder
select id from lq_record where key = :key and status in ('pending', 'scheduled', 'running')
union all
select id from lq_record where key = :key and unique_until > :now
limit 1
