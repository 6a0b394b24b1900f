-- The server's own account of each record, written by triggers in the transaction that changes it: what the library
-- believes has no part in it.

create table ledger_audit (
    seq bigserial primary key,
    at double precision not null default extract(epoch from clock_timestamp()),
    what text not null, -- made, moved, left (the live table), kept (among the ended), pruned
    id uuid not null,
    was text,
    status text,
    old_token bigint,
    token bigint,
    overdue boolean,
    attempt integer,
    max_attempts integer,
    lost_leases integer,
    key text,
    schedule text,
    error text
);

create function ledger_live() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into ledger_audit (what, id, status, attempt, max_attempts, lost_leases, key, schedule)
        values ('made', new.id, new.status, new.attempt, new.max_attempts, new.lost_leases, new.key, new.schedule);
    elsif tg_op = 'UPDATE' then
        insert into ledger_audit (what, id, was, status, old_token, token, overdue, attempt, max_attempts, lost_leases)
        values ('moved', new.id, old.status, new.status, old.token, new.token, old.lease_until <= clock_timestamp(),
                new.attempt, new.max_attempts, new.lost_leases);
    else
        insert into ledger_audit (what, id, was, old_token, overdue, lost_leases)
        values ('left', old.id, old.status, old.token, old.lease_until <= clock_timestamp(), old.lost_leases);
    end if;
    return null;
end $$;

create function ledger_done() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into ledger_audit (what, id, status, attempt, max_attempts, lost_leases, error)
        values ('kept', new.id, new.status, new.attempt, new.max_attempts, new.lost_leases, new.error);
    else
        insert into ledger_audit (what, id, was) values ('pruned', old.id, old.status);
    end if;
    return null;
end $$;

create trigger ledger_comes_and_goes after insert or delete on lq_live for each row execute function ledger_live();
create trigger ledger_moves after update on lq_live for each row
when (old.status is distinct from new.status or old.token is distinct from new.token) execute function ledger_live();
create trigger ledger_ends after insert or delete on lq_done for each row execute function ledger_done();
