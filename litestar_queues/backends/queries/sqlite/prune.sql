-- Whether a record of the state is old enough to go.
-- name: any_old
select exists (
    select 1 from lq_record
    where status in ('completed', 'failed', 'cancelled') and status = :status and completed_at < :before
)

-- The oldest records of a terminal state that hold no key any more, as JSON, by queue.
-- name: find_old
select queue, count(*), json_group_array(n) from (
    select queue, n from lq_record
    where status in ('completed', 'failed', 'cancelled') and status = :status and completed_at < :before
        and (unique_until is null or unique_until <= :now)
    order by completed_at limit :limit
) group by queue

-- How many records of a terminal state are old enough and hold no key any more.
-- name: count_old
select count(*) from lq_record
where status in ('completed', 'failed', 'cancelled') and status = :status and completed_at < :before
    and (unique_until is null or unique_until <= :now)

-- When the latest pruned canary had completed.
-- name: canary_pruned
select coalesce(max(n), 0) from lq_counter where queue = 'litestar-queues.canary' and status = 'last_pruned_at'

-- When the latest of the found records had ended.
-- name: latest_end
select max(completed_at) from json_each(:ns) cross join lq_record on n = value

-- Delete the found records.
-- name: delete_records
delete from lq_record where n in (select value from json_each(:ns))

-- The last number that was given to a record.
-- name: last_number
select coalesce(max(n), 0) from lq_record
