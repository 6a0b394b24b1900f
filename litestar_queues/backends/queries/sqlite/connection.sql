-- The journal that lets readers and one writer work side by side.
-- name: wal
pragma journal_mode = wal

-- Which journal the file has.
-- name: journal_mode
pragma journal_mode

-- A committed record survives a power cut.
-- name: synchronous_full
pragma synchronous = full

-- A committed record survives a crash of the process.
-- name: synchronous_normal
pragma synchronous = normal

-- Cut the write-ahead log back after a burst.
-- name: journal_size_limit
pragma journal_size_limit = 67108864

-- Refuse writes on a connection that only reads.
-- name: query_only
pragma query_only = on

-- A number that changes when another connection has committed.
-- name: data_version
pragma data_version

-- The files behind a connection.
-- name: database_list
pragma database_list

-- Take the write lock now: a lock taken later could be refused after work was done.
-- name: begin_immediate
begin immediate

-- Begin as the driver would before an insert.
-- name: begin
begin

-- End a transaction well.
-- name: commit
commit

-- Undo a transaction.
-- name: rollback
rollback

-- Begin a part of the caller's transaction that is undone alone.
-- name: savepoint
savepoint lq_enqueue

-- Keep that part.
-- name: savepoint_release
release lq_enqueue

-- Undo that part.
-- name: savepoint_rollback
rollback to lq_enqueue

-- Whether any migration was ever applied.
-- name: schema_exists
select 1 from sqlite_master where type = 'table' and name = 'lq_schema'

-- The latest applied migration.
-- name: schema_version
select max(version) from lq_schema

-- Note an applied migration.
-- name: schema_applied
insert into lq_schema (version, name, applied_at) values (:version, :name, :now)

-- Add to a count, at the end of a transaction.
-- name: count
insert into lq_counter (queue, status, n) values (:queue, :status, :n)
on conflict (queue, status) do update set n = n + excluded.n
