-- Vouch for a definition; a new or changed one gets a new due time.
-- name: sync_schedule
insert into lq_schedule as old (name, task, definition, next_at, seen_at)
values ($2::text, $3::text, $4::text, $5::timestamptz, coalesce($1::timestamptz, now()))
on conflict (name) do update set
    next_at = case old.definition when excluded.definition then old.next_at else excluded.next_at end,
    task = excluded.task, definition = excluded.definition, seen_at = excluded.seen_at

-- The named schedules that are not paused, and the store's time.
-- name: find_schedules
select
    name, task, definition, next_at, paused, last_at, last_record, seen_at, coalesce($1::timestamptz, now()) as looked_at
from lq_schedule
where name = any($2::text[]) and not paused
order by next_at

-- The store's time.
-- name: store_time
select coalesce($1::timestamptz, now())

-- All schedules.
-- name: list_schedules
select name, task, definition, next_at, paused, last_at, last_record, seen_at from lq_schedule order by name

-- Move a schedule on, where nobody else has.
-- name: move_schedule
update lq_schedule set next_at = $3::timestamptz
where name = $1::text and next_at = $2::timestamptz and not paused
returning name

-- Note what a schedule fired last.
-- name: note_fired
update lq_schedule set last_at = $2::timestamptz, last_record = coalesce($3::uuid, last_record) where name = $1::text

-- Take a tick; at most once, ever.
-- name: take_tick
insert into lq_tick (schedule, at, fired_at) values ($2::text, $3::timestamptz, coalesce($1::timestamptz, now()))
on conflict do nothing
returning at

-- Note the record that a tick made.
-- name: note_tick
update lq_tick set record = $3::uuid where schedule = $1::text and at = $2::timestamptz

-- Whether a record of the schedule is live.
-- name: schedule_is_live
select exists (select 1 from lq_live where schedule = $1::text)

-- Pause a schedule or let it go on.
-- name: pause_schedule
update lq_schedule set paused = $2::boolean where name = $1::text returning name

-- Delete ticks of long ago.
-- name: prune_ticks
with old as materialized (
    select ctid as place from lq_tick where fired_at < $1::timestamptz order by fired_at limit $2::integer
    for update skip locked
)
delete from lq_tick where ctid = any(array(select place from old))
returning at

-- Delete schedules that no worker has vouched for since.
-- name: prune_schedules
with old as (select name from lq_schedule where seen_at < $1::timestamptz order by seen_at limit $2::integer)
delete from lq_schedule using old where lq_schedule.name = old.name
returning lq_schedule.name
