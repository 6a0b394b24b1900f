-- Delete the oldest records of a terminal state that hold no key any more.
-- $1 now or null, $2 state, $3 age in seconds, $4 limit.
-- name: prune_many
with clock (at) as (select coalesce($1::timestamptz, now())),
old as materialized (
    select ctid as place from lq_done
    where status = $2::text
        and completed_at < coalesce($1::timestamptz, now()) - make_interval(secs => $3::double precision)
        and (unique_until is null or unique_until <= (select at from clock))
    order by completed_at
    limit $4::integer
    for update skip locked
),
-- by place: without the settings of a session, as behind a pooler, a join on the id goes through the whole table
gone as (delete from lq_done where ctid = any(array(select place from old)) returning queue, completed_at),
canary as ( -- it must be known for longer than its records are kept
    insert into lq_count (queue, status, n)
    select queue, 'last_pruned_at', (extract(epoch from max(completed_at)) * 1000000)::bigint
    from gone where $2::text = 'completed' and queue = 'litestar-queues.canary' group by queue
),
counted as (
    insert into lq_count (queue, status, n)
    select queue, changes.status, changes.sign * count(*)
    from gone cross join (values ($2::text, -1), ('pruned', 1)) as changes (status, sign)
    group by queue, changes.status, changes.sign
)
select count(*) from gone

-- How many records of a terminal state are old enough and hold no key any more.
-- $1 now or null, $2 state, $3 age in seconds.
-- name: count_old
select count(*) from lq_done
where status = $2::text and completed_at < coalesce($1::timestamptz, now()) - make_interval(secs => $3::double precision)
    and (unique_until is null or unique_until <= coalesce($1::timestamptz, now()))

-- Make one row of the many that writers added for each count, where there are more than a few.
-- name: fold_counts
with old as (
    delete from lq_count where 200 < (select count(*) from (select 1 from lq_count limit 201) as first_ones)
    returning queue, status, n
)
insert into lq_count (queue, status, n)
select queue, status, case status when 'last_pruned_at' then max(n) else sum(n) end from old group by queue, status
