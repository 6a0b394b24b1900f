-- Claims, given as one blob of ids and a JSON array of [token], that are lost (null) or asked to stop (1).
-- name: find_troubled
select json_each.key, cancel_requested
from json_each(:rows) left join lq_record
    on lq_record.id = substr(:ids, json_each.key * 16 + 1, 16) and token = json_extract(value, '$[0]') and status = 'running'
where n is null or cancel_requested = 1

-- Extend the leases of all that are held.
-- name: renew
update lq_record set lease_until = :lease_until
where n in (
    select n from json_each(:rows) cross join lq_record on lq_record.id = substr(:ids, json_each.key * 16 + 1, 16)
    where token = json_extract(value, '$[0]') and status = 'running'
)

-- Running records of a worker that somebody asked to stop.
-- name: cancel_requests
select id from lq_record where status = 'running' and cancel_requested = 1 and worker_id = :worker_id

-- Whether any lease ran out.
-- name: any_stale
select exists (select 1 from lq_record where status = 'running' and lease_until <= :now)

-- Records whose lease ran out, the longest first.
-- name: find_stale
select n, id, task, queue, worker_id, cancel_requested, lost_leases, at_most_once from lq_record
where status = 'running' and lease_until <= :now
order by lease_until limit :limit

-- Everything that runs; there are as many as the fleet has slots.
-- name: find_running
select n, id, task, queue, worker_id, cancel_requested, lost_leases, at_most_once
from lq_record indexed by lq_record_running
where status = 'running' and lease_until is not null

-- Take lost records back for another run; the attempt is not spent.
-- name: rescue
update lq_record set
    status = 'pending', lost_leases = lost_leases + 1, attempt = attempt - 1, lease_until = null
where n in (select value from json_each(:ns))

-- End lost records that are not to run again.
-- name: end_lost
update lq_record set
    status = :status, lost_leases = lost_leases + 1, lease_until = null, completed_at = :now, error = :error
where n in (select value from json_each(:ns))
