-- Schedules, and one row for each tick that was ever fired.

create table lq_schedule (
    name text primary key,
    task text not null,
    definition text not null,
    next_at integer not null,
    paused integer not null default 0,
    last_at integer,
    last_record blob,
    seen_at integer not null
) without rowid;

create table lq_tick (
    schedule text not null,
    at integer not null,
    fired_at integer not null,
    record blob,
    primary key (schedule, at)
) without rowid;

create index lq_tick_age on lq_tick (fired_at);
create index lq_schedule_age on lq_schedule (seen_at);
create index lq_record_schedule on lq_record (schedule)
    where schedule is not null and status in ('pending', 'scheduled', 'running');
