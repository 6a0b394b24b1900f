-- Of completions given as one blob of ids and a JSON array of [token, ...]: how many are held, by queue.
-- name: count_held
select queue, count(*)
from json_each(:rows) cross join lq_record on lq_record.id = substr(:ids, json_each.key * 16 + 1, 16)
where token = json_extract(value, '$[0]') and status = 'running'
group by queue

-- Positions of those that are not held.
-- name: find_unheld
select json_each.key
from json_each(:rows) left join lq_record
    on lq_record.id = substr(:ids, json_each.key * 16 + 1, 16) and token = json_extract(value, '$[0]') and status = 'running'
where n is null

-- Complete all that are held, with their results.
-- name: complete
update lq_record set
    status = 'completed', completed_at = :now, lease_until = null, result = done.result, error = null
from (
    select
        substr(:ids, key * 16 + 1, 16) as id, json_extract(value, '$[0]') as token,
        json_extract(value, '$[1]') as result
    from json_each(:rows)
) as done
where lq_record.id = done.id and lq_record.token = done.token and status = 'running'

-- Store the progress of all that are held.
-- name: progress
update lq_record set progress = news.progress
from (
    select
        substr(:ids, key * 16 + 1, 16) as id, json_extract(value, '$[0]') as token,
        json_extract(value, '$[1]') as progress
    from json_each(:rows)
) as news
where lq_record.id = news.id and lq_record.token = news.token and status = 'running'

-- The held record behind one completion.
-- name: find_held
select n, queue, cancel_requested from lq_record where id = :id and token = :token and status = 'running'

-- End a held record that did not complete.
-- name: end_held
update lq_record set status = :status, completed_at = :now, lease_until = null, error = :error where n = :n

-- Give a held record back for its next attempt.
-- name: try_again
update lq_record set status = :status, due_at = :due_at, lease_until = null, error = :error where n = :n

-- Give a held record back with its attempt.
-- name: give_back
update lq_record set
    status = :status, due_at = coalesce(:due_at, due_at), lease_until = null, error = coalesce(:error, error),
    attempt = attempt - 1
where n = :n

-- Add a failed attempt to the history of a record.
-- name: add_error
update lq_record set
    errors = json_insert(
        coalesce(errors, '[]'), '$[#]',
        json_object('attempt', attempt, 'at', :now, 'type', :type, 'message', :message, 'traceback', :traceback)
    )
where n = :n
