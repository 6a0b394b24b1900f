-- Whether any migration was ever applied.
-- name: schema_exists
-- from a table: else the server may answer from a cache that is older than the lock that was waited for
select exists (select from pg_class where oid = to_regclass('lq_schema'))

-- Whether the schema is there: to ask for one that is needs the right to create another.
-- name: namespace_exists
select exists (select from pg_namespace where nspname = $1::text)

-- The latest applied migration.
-- name: schema_version
select max(version) from lq_schema

-- Note an applied migration.
-- name: schema_applied
insert into lq_schema (version, name) values ($1::integer, $2::text)

-- One migration at a time: the lock ends with the transaction, so it works behind a pooler too.
-- name: lock_schema
select pg_advisory_xact_lock(hashtextextended('lq_schema', 0))

-- Begin a transaction whose statements see what has been committed meanwhile, whatever the database's default is.
-- name: begin
begin isolation level read committed

-- How much of what is committed meanwhile the caller's transaction sees.
-- name: isolation
select current_setting('transaction_isolation')

-- End a transaction well.
-- name: commit
commit

-- End a transaction as if it had not been.
-- name: rollback
rollback

-- Let a library begin the transaction that it puts off until a first statement.
-- name: begin_of_caller
select 1

-- Begin a part of the caller's transaction that is undone alone.
-- name: savepoint
savepoint litestar_queues_enqueue

-- Keep that part.
-- name: savepoint_release
release savepoint litestar_queues_enqueue

-- Undo that part.
-- name: savepoint_rollback
rollback to savepoint litestar_queues_enqueue
