-- Schedules, and one row for each tick that was ever fired.

create table lq_schedule (
    name text primary key,
    task text not null,
    definition text not null,
    next_at timestamptz not null,
    paused boolean not null default false,
    last_at timestamptz,
    last_record uuid,
    seen_at timestamptz not null
);

create table lq_tick (
    schedule text not null,
    at timestamptz not null,
    fired_at timestamptz not null,
    record uuid,
    primary key (schedule, at)
);

create index on lq_tick (fired_at);
create index on lq_schedule (seen_at);
