-- Where a record stands.
-- name: find_record
select n, queue, status, key from lq_record where id = :id

-- Cancel a waiting record.
-- name: cancel_waiting
update lq_record set status = 'cancelled', completed_at = :now, error = :error where n = :n

-- Ask the holder of a running record to stop it.
-- name: ask_to_stop
update lq_record set cancel_requested = 1 where n = :n and cancel_requested = 0

-- Make an ended record pending again with a fresh set of attempts; what happened before stays.
-- name: retry
update lq_record set
    status = 'pending', due_at = :now, attempt = 0, lost_leases = 0, cancel_requested = 0, token = null,
    completed_at = null, expires_at = null, started_at = null, progress = null
where n = :n

-- Whether a live record holds a key.
-- name: find_live_holder
select 1 from lq_record where key = :key and status in ('pending', 'scheduled', 'running')
