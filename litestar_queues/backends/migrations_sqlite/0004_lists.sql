-- Pages of the records of one key, and of one schedule, however many others there are. Most records have neither, and these
-- indexes cost them nothing.

create index lq_record_of_key on lq_record (key, id) where key is not null;
-- of ended ones alone: the question whether a run of a schedule is live must go on to read the live ones
create index lq_record_of_schedule on lq_record (schedule, id)
    where schedule is not null and status in ('completed', 'failed', 'cancelled');
