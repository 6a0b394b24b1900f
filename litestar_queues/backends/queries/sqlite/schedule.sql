-- Vouch for a definition; a new or changed one gets a new due time.
-- name: sync_schedule
insert into lq_schedule (name, task, definition, next_at, seen_at)
values (:name, :task, :definition, :first_at, :now)
on conflict (name) do update set
    next_at = case definition when excluded.definition then next_at else excluded.next_at end,
    task = excluded.task, definition = excluded.definition, seen_at = excluded.seen_at

-- The named schedules that are not paused.
-- name: find_schedules
select name, task, definition, next_at, paused, last_at, last_record, seen_at
from json_each(:names) cross join lq_schedule on name = value
where paused = 0
order by next_at

-- All schedules.
-- name: list_schedules
select name, task, definition, next_at, paused, last_at, last_record, seen_at from lq_schedule order by name

-- Move a schedule on, where nobody else has.
-- name: move_schedule
update lq_schedule set next_at = :next_at
where name = :name and next_at = :expected_at and paused = 0

-- Note what a schedule fired last.
-- name: note_fired
update lq_schedule set last_at = :last_at, last_record = coalesce(:last_record, last_record) where name = :name

-- Take a tick; at most once, ever.
-- name: take_tick
insert into lq_tick (schedule, at, fired_at, record) values (:schedule, :at, :now, null)
on conflict (schedule, at) do nothing

-- Note the record that a tick made.
-- name: note_tick
update lq_tick set record = :record where schedule = :schedule and at = :at

-- Whether a record of the schedule is live.
-- name: schedule_is_live
select exists (
    select 1 from lq_record
    where schedule = :schedule and status in ('pending', 'scheduled', 'running')
)

-- Pause a schedule or let it go on.
-- name: pause_schedule
update lq_schedule set paused = :paused where name = :name

-- Delete ticks of long ago.
-- name: prune_ticks
delete from lq_tick
where (schedule, at) in (select schedule, at from lq_tick where fired_at < :before order by fired_at limit :limit)

-- Delete schedules that no worker has vouched for since.
-- name: prune_schedules
delete from lq_schedule
where name in (select name from lq_schedule where seen_at < :before order by seen_at limit :limit)
