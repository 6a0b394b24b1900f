-- As in audit_postgres.sql. One table holds live and ended records, so an end is a move.

create table ledger_audit (
    seq integer primary key autoincrement,
    at real not null,
    what text not null,
    id blob not null,
    was text,
    status text,
    old_token integer,
    token integer,
    overdue integer,
    attempt integer,
    max_attempts integer,
    lost_leases integer,
    key text,
    schedule text,
    error text
);

create trigger ledger_makes after insert on lq_record begin
    insert into ledger_audit (at, what, id, status, attempt, max_attempts, lost_leases, key, schedule)
    values ((julianday('now') - 2440587.5) * 86400, 'made', new.id, new.status, new.attempt, new.max_attempts,
            new.lost_leases, new.key, new.schedule);
end;

create trigger ledger_moves after update on lq_record when old.status is not new.status or old.token is not new.token
begin
    insert into ledger_audit (
        at, what, id, was, status, old_token, token, overdue, attempt, max_attempts, lost_leases, error
    )
    values ((julianday('now') - 2440587.5) * 86400,
            case when new.status in ('completed', 'failed', 'cancelled') then 'ended' else 'moved' end,
            new.id, old.status, new.status, old.token, new.token,
            old.lease_until <= (julianday('now') - 2440587.5) * 86400 * 1000000 + 1000,
            new.attempt, new.max_attempts, new.lost_leases, new.error);
end;

create trigger ledger_prunes after delete on lq_record begin
    insert into ledger_audit (at, what, id, was)
    values ((julianday('now') - 2440587.5) * 86400, 'pruned', old.id, old.status);
end;
