-- Pages of the records of one key, and of one schedule, however many others have ended. Most records have neither, and these
-- indexes cost them nothing.

create index on lq_done (key, id) where key is not null;
create index on lq_done (schedule, id) where schedule is not null;
