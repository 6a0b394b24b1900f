-- Insert one record, as most calls do: without arrays and parts of a query it takes a quarter less of the server's time.
-- $1 now or null, $2 id, $3 payload, $4 task, $5 queue, $6 rank, $7 attempts, $8 timeout, $9 due time or null, $10 delay,
-- $11 seconds to expiry, $12 metadata, $13 backoff, $14 execution backend, $15 its profile, $16 schedule, $17 at most once,
-- $18 channel or null.
-- name: insert_one
insert into lq_live (
    id, task, queue, status, rank, due_at, created_at, max_attempts, expires_at, timeout, metadata, backoff,
    execution_backend, execution_profile, schedule, at_most_once, payload
)
select
    $2::uuid, $4::text, $5::text, case when due.at > clock.at then 'scheduled' else 'pending' end, $6::integer, due.at,
    clock.at, $7::integer, clock.at + make_interval(secs => $11::double precision), $8::double precision, $12::text,
    $13::text, $14::text, $15::text, $16::text, $17::boolean, $3::text
from (select coalesce($1::timestamptz, now())) as clock (at)
cross join lateral (
    select coalesce($9::timestamptz, clock.at + make_interval(secs => $10::double precision))
) as due (at)
-- an id that is there already is a reply that got lost
where not exists (select 1 from lq_live where lq_live.id = $2::uuid)
    and not exists (select 1 from lq_done where lq_done.id = $2::uuid)
returning case when $18::text is not null then pg_notify($18::text, $5::text)::text end

-- Insert records that differ in id and payload alone, and tell who listens.
-- $1 now or null, $2 ids, $3 payloads, $4 task, $5 queue, $6 rank, $7 attempts, $8 timeout, $9 due time or null,
-- $10 delay, $11 seconds to expiry, $12 metadata, $13 backoff, $14 execution backend, $15 its profile, $16 schedule,
-- $17 at most once, $18 channel or null.
-- name: insert_alike
with clock (at) as (select coalesce($1::timestamptz, now())),
due (at) as (select coalesce($9::timestamptz, clock.at + make_interval(secs => $10::double precision)) from clock),
made as (
    insert into lq_live (
        id, task, queue, status, rank, due_at, created_at, max_attempts, expires_at, timeout, metadata, backoff,
        execution_backend, execution_profile, schedule, at_most_once, payload
    )
    select
        new.id, $4::text, $5::text, case when due.at > clock.at then 'scheduled' else 'pending' end, $6::integer, due.at,
        clock.at, $7::integer, clock.at + make_interval(secs => $11::double precision), $8::double precision, $12::text,
        $13::text, $14::text, $15::text, $16::text, $17::boolean, new.payload
    from unnest($2::uuid[], $3::text[]) as new (id, payload) cross join clock cross join due
    -- an id that is there already is a reply that got lost; "on conflict do nothing" would take a third longer. "offset 0":
    -- a join may go through the index of all ids, as in finish_and_claim
    where not exists (select 1 from lq_live where lq_live.id = new.id offset 0)
        and not exists (select 1 from lq_done where lq_done.id = new.id)
)
select pg_notify($18::text, $5::text) where $18::text is not null

-- The same for hundreds. Ids grow with time, so those of one call lie together: where no other record's id lies among
-- them, which one look at each table tells, none of them need be looked for.
-- name: insert_many_alike
with clock (at) as (select coalesce($1::timestamptz, now())),
due (at) as (select coalesce($9::timestamptz, clock.at + make_interval(secs => $10::double precision)) from clock),
common (status, due_at, created_at, expires_at) as materialized ( -- reckoned once, which takes a twelfth less
    select
        case when due.at > clock.at then 'scheduled' else 'pending' end, due.at, clock.at,
        clock.at + make_interval(secs => $11::double precision)
    from clock cross join due
),
span (low, high) as (
    select
        (select id from unnest($2::uuid[]) as new (id) order by id limit 1),
        (select id from unnest($2::uuid[]) as new (id) order by id desc limit 1)
),
near (clash) as (
    select -- in the order of the index, or a server may prefer to look through the table
        coalesce((select id from lq_live where id >= low order by id limit 1) <= high, false)
        or coalesce((select id from lq_done where id >= low order by id limit 1) <= high, false)
    from span
),
made as (
    insert into lq_live (
        id, task, queue, status, rank, due_at, created_at, max_attempts, expires_at, timeout, metadata, backoff,
        execution_backend, execution_profile, schedule, at_most_once, payload
    )
    select
        new.id, $4::text, $5::text, common.status, $6::integer, common.due_at, common.created_at, $7::integer,
        common.expires_at, $8::double precision, $12::text, $13::text, $14::text, $15::text, $16::text, $17::boolean,
        new.payload
    from unnest($2::uuid[], $3::text[]) as new (id, payload) cross join common
    -- "offset 0" keeps the server from reading a whole table to answer for all
    where not (select clash from near)
        or not exists (select 1 from lq_live where lq_live.id = new.id offset 0)
        and not exists (select 1 from lq_done where lq_done.id = new.id offset 0)
)
select pg_notify($18::text, $5::text) where $18::text is not null

-- The first for records with keys, whose windows are in $19 as seconds: the ids that were made.
-- name: insert_keyed
with clock (at) as (select coalesce($1::timestamptz, now())),
due (at) as (select coalesce($9::timestamptz, clock.at + make_interval(secs => $10::double precision)) from clock),
made as (
    insert into lq_live (
        id, task, queue, status, rank, due_at, created_at, max_attempts, expires_at, timeout, metadata, backoff,
        execution_backend, execution_profile, schedule, at_most_once, payload, key, unique_until
    )
    select
        new.id, $4::text, $5::text, case when due.at > clock.at then 'scheduled' else 'pending' end, $6::integer, due.at,
        clock.at, $7::integer, clock.at + make_interval(secs => $11::double precision), $8::double precision, $12::text,
        $13::text, $14::text, $15::text, $16::text, $17::boolean, new.payload, new.key,
        clock.at + make_interval(secs => new.unique_for)
    from unnest($2::uuid[], $3::text[], $19::text[], $20::double precision[])
        with ordinality as new (id, payload, key, unique_for, place)
    cross join clock cross join due
    where not exists (select 1 from lq_done where lq_done.key = new.key and unique_until > clock.at)
        and not exists (select 1 from lq_done where lq_done.id = new.id)
    -- of two with one key the first is made, whatever the plan; keys in one order, or two producers deadlock
    order by new.key, place
    on conflict do nothing
    returning id
),
told as (select pg_notify($18::text, $5::text) from (select 1 from made limit 1) as any_made where $18::text is not null)
select id from made where (select count(*) from told) >= 0 -- or nobody is told

-- Take back those of $2 whose key another ended record holds by its window: it was live when the insert took its snapshot,
-- and gone when the insert had waited for its key.
-- name: withdraw_keyed
delete from lq_live using lq_done
where lq_live.id = any($2::uuid[]) and lq_done.key = lq_live.key
    and lq_done.unique_until > coalesce($1::timestamptz, now())
returning lq_live.id

-- The records that hold keys, the one that counts last: a live one, else an ended one within its window, else one of $3,
-- which an earlier try has made and which has ended since.
-- name: find_holders
select key, id, 1 as place from lq_done where id = any($3::uuid[])
union all
select key, id, 2 from lq_done where key = any($2::text[]) and unique_until > coalesce($1::timestamptz, now())
union all
select key, id, 3 from lq_live where key = any($2::text[])
order by place
