-- A busy queue with some history: 50,000 waiting records, 2,000 delayed, 500 running, 100,000 ended.
insert into lq_live (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
select gen_random_uuid(), 'greet', 'q' || n % 5, 'pending', n % 3, now() - n * interval '1 ms', now(), 1, '[[],{}]'
from generate_series(1, 50000) as n;

insert into lq_live (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
select gen_random_uuid(), 'greet', 'q' || n % 5, 'scheduled', 0, now() + n * interval '1 s', now(), 1, '[[],{}]'
from generate_series(1, 2000) as n;

insert into lq_live (
    id, task, queue, status, rank, due_at, created_at, max_attempts, payload, token, lease_until, worker_id, key
)
select
    gen_random_uuid(), 'greet', 'q' || n % 5, 'running', 0, now(), now(), 1, '[[],{}]', n, now() + n * interval '1 s',
    'worker:' || n % 4, 'key ' || n
from generate_series(1, 500) as n;

insert into lq_done (
    id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
    completed_at, key, unique_until, schedule, payload
)
select
    gen_random_uuid(), 'greet', case when n % 1000 = 0 then 'litestar-queues.canary' else 'q' || n % 5 end,
    case when n % 100 = 0 then 'failed' else 'completed' end, 0, now(), now(), 1, 1, 0, false,
    now() - n * interval '1 s', case when n % 50 = 0 then 'done ' || n % 5000 end,
    case when n % 50 = 0 then now() + interval '1 h' end, case when n % 20 = 0 then 'every ' || n % 3 end, '[[],{}]'
from generate_series(1, 100000) as n;

insert into lq_count select 'q' || n % 5, 'completed', 100 from generate_series(1, 100) as n;

insert into lq_tick select 'report', now() - n * interval '1 m', now() - n * interval '1 m', null from generate_series(1, 5000) as n;

insert into lq_schedule select 'report ' || n, 'greet', '', now(), false, null, null, now() from generate_series(1, 50) as n;

insert into lq_worker
select 'worker:' || n, 'host', n, '1', '{}', 8, 0, false, now(), now() - n * interval '1 s', now() from generate_series(1, 500) as n;

insert into lq_tally
select date_trunc('minute', now()) - n * interval '1 m', 'q' || queue, 1, 0, 0, 0, array_fill(1, array[12]), array_fill(1, array[13])
from generate_series(1, 1440) as n cross join generate_series(0, 4) as queue;
