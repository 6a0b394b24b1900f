-- Records that must not run a second time when their worker vanishes. A default rewrites no table.

alter table lq_live add column at_most_once boolean not null default false;
alter table lq_done add column at_most_once boolean not null default false;
