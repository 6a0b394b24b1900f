-- Records that must not run a second time when their worker vanishes.

alter table lq_record add column at_most_once integer not null default 0;
